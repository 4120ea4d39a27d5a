"use strict";
// What the adapters of the runtimes share: the one error that they raise, and the check of the inputs.

class SessionError extends Error {
  /** `unsupported`: this runtime cannot do what was requested, which is a result rather than a fault. */
  constructor(kind, message, { detail = "", unsupported = false } = {}) {
    super(message);
    Object.assign(this, { kind, detail, unsupported });
  }
}

const textOf = (error) => String(error?.message ?? error);
const outOfMemory = (error) => /out of memory|bad_alloc|Array buffer allocation failed|could not allocate|Cannot enlarge memory/i.test(textOf(error));

function firstLine(error) {
  const line = textOf(error).trim().split("\n")[0];
  return line.length > 300 ? `${line.slice(0, 100)} … ${line.slice(-200)}` : line;
}

function loadError(file, runtime, error) {
  const kind = outOfMemory(error) ? "oom" : "load";
  return new SessionError(kind, `${runtime} cannot load '${file}': ${firstLine(error)}`, { detail: textOf(error) });
}

function runError(runtime, error) {
  const kind = outOfMemory(error) ? "oom" : "run";
  return new SessionError(kind, `${runtime} failed during a call: ${firstLine(error)}`, { detail: textOf(error) });
}

function noDelegate(runtime, delegate, has) {
  const message = `${runtime} has no ${delegate} delegate in browsers (it has: ${has.join(", ")})`;
  return new SessionError("delegate", message, { unsupported: true });
}

function refuseOptions(runtime, options = {}) {
  const names = Object.keys(options).sort();
  if (names.length) {
    throw new SessionError("input", `${runtime} takes no options here, but the request has ${names.join(", ")}: remove them`);
  }
}

/** Returns the tensors of a call in the model's order: by name if all names match, else as they are. */
function inModelOrder(specs, tensors) {
  const names = tensors.map((tensor) => tensor.name);
  const same = specs.map((spec) => spec.name).sort().join("\0") === [...names].sort().join("\0");
  if (!same || new Set(names).size !== names.length) return tensors;
  return specs.map((spec) => tensors[names.indexOf(spec.name)]);
}

/** Throws unless the tensors match the model's inputs in number, shape and sort. An open size is -1. */
function checkInputs(specs, tensors) {
  if (specs.length !== tensors.length) {
    const message = `the model has ${specs.length} inputs but got ${tensors.length}: correct [[input]] in model.toml`;
    throw new SessionError("input", message);
  }
  specs.forEach((spec, index) => {
    const { shape, dtype } = tensors[index];
    const fits = spec.shape.length === shape.length && spec.shape.every((size, at) => size < 0 || size === shape[at]);
    if (!fits || sortOf(spec.dtype) !== sortOf(dtype)) {
      const message = `input '${spec.name}' of the model is ${spec.dtype} [${spec.shape.join(", ")}], `
        + `but got ${dtype} [${shape.join(", ")}]: correct [[input]] in model.toml`;
      throw new SessionError("input", message);
    }
  });
}

/** Returns what WebGPU computes on, `{name, software}`. Throws where the browser offers nothing. */
async function gpuAdapter() {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    throw new SessionError("delegate", "this browser offers no WebGPU adapter: update its graphics driver, or measure with another delegate", { unsupported: true });
  }
  const { vendor = "", architecture = "", device = "", description = "" } = adapter.info ?? {};
  const software = Boolean(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter) || /swiftshader|llvmpipe|lavapipe/i.test(`${architecture} ${device} ${description}`);
  return { name: description || [vendor, architecture, device].filter(Boolean).join(" ") || "unknown", software };
}
