"use strict";
// One job from request to reply, as docs/wire.md specifies it. Whatever happens becomes a reply.

importScripts("tensors.js", "session.js", "latency.js", "flatbuffer.js", "onnxruntime.js", "litert.js");

const SCHEMA = 1;
const RUNTIMES = { onnx: onnxruntime, tflite: litert };
let hidden = false;

self.onmessage = ({ data }) => {
  if (data.hidden) hidden = true;
  if (data.job !== undefined) work(data.job);
};

const phase = (text) => self.postMessage({ phase: text });

async function ask(path, options) {
  const answer = await fetch(path, options);
  if (!answer.ok) throw new SessionError("storage", `phonebench refused '${path}': ${answer.status} ${await answer.text()}`);
  return answer;
}

const post = async (path, body) => (await ask(path, { method: "POST", body })).json();

/** Runs a job and sends its reply. */
async function work(job) {
  const folder = `jobs/${job}/`;
  const done = { schema: SCHEMA, cell: "", launch: 0, status: "ok", runner: { kind: "web", version: "" } };
  try {
    const setup = await (await ask(`${folder}setup.json`)).json();
    done.runner.version = setup.version;
    if (setup.probe) {
      await post(`${folder}reply`, JSON.stringify(await pageFacts()));
      self.postMessage({ ended: true });
      return;
    }
    const before = await (await ask(`${folder}state`)).json();
    await run(folder, setup, done);
    const after = await (await ask(`${folder}state`)).json();
    if (before && after) done.state = { before, after };
    if (hidden) throw new SessionError("run", "the page was in the background during the launch, where browsers slow it down: keep it in front");
  } catch (error) {
    const known = error instanceof SessionError ? error : new SessionError(outOfMemory(error) ? "oom" : "run", `the page failed: ${firstLine(error)}`, { detail: String(error?.stack ?? error) });
    done.status = known.unsupported ? "unsupported" : "failed";
    done.failure = { kind: known.kind, message: known.message, detail: known.detail };
  }
  await post(`${folder}reply`, JSON.stringify(done));
  self.postMessage({ ended: true });
}

// (func (result v128) i32.const 0 i8x16.splat): a browser without SIMD refuses it.
const SIMD = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11]);

/** What this browser is and offers, for a device that has just been opened. */
async function pageFacts() {
  const gpu = await gpuAdapter().catch(() => null);
  return {
    user_agent: navigator.userAgent, isolated: Boolean(self.crossOriginIsolated), clock_step_ns: Math.round(clockStepMs() * 1e6),
    cores: navigator.hardwareConcurrency ?? 0, memory_gib: navigator.deviceMemory ?? 0, simd: WebAssembly.validate(SIMD),
    gpu: gpu ? `${gpu.name}${gpu.software ? " (software)" : ""}` : "", webnn: await webnn(),
  };
}

/** Asks WebNN for a context of each kind. No runtime here uses it, so what it offers is a fact and no delegate. */
async function webnn() {
  if (!navigator.ml?.createContext) return "not offered";
  const answers = [];
  for (const deviceType of ["cpu", "gpu", "npu"]) {
    answers.push(await navigator.ml.createContext({ deviceType }).then(() => `${deviceType}: offered`, (error) => `${deviceType}: ${firstLine(error)}`));
  }
  return answers.join("; ");
}

async function run(folder, setup, done) {
  const request = await (await ask(`${folder}request.json`)).json();
  if (request.schema !== SCHEMA) {
    throw new SessionError("input", `the request has schema ${request.schema}, this runner uses schema ${SCHEMA}: use the same version on both sides`);
  }
  Object.assign(done, { cell: request.cell, launch: request.launch });
  self.postMessage({ cell: request.cell, launch: request.launch });
  const stepMs = clockStepMs();
  if (!self.crossOriginIsolated) {
    throw new SessionError("load", "the page is not isolated (crossOriginIsolated is false), so its clock is too coarse and it has no threads: open the link that phonebench prints, unchanged", { unsupported: true });
  }
  const runtime = RUNTIMES[request.artifact.format];
  if (!runtime) {
    throw new SessionError("load", `browsers have no runtime for ${request.artifact.format} (they have those for: ${Object.keys(RUNTIMES).join(", ")})`, { unsupported: true });
  }
  const accelerator = request.runtime.delegate === "gpu" ? await gpuAdapter() : null;
  // Reported with everything that a runtime says, because none of them says what it runs on.
  const report = (session) => ({ ...session.report(), accelerator });
  await fetchFiles(folder, request.artifact, { check: true });
  const files = () => fetchFiles(folder, request.artifact, { check: false });
  await passes({ folder, request, runtime, stepMs, files, setup, report }, done);
}

async function passes(job, done) {
  const { folder, request, runtime, setup } = job;
  const { latency, memory, outputs, profile } = request.passes;
  phase("starting the runtime");
  await runtime.start(request.runtime, setup).catch((error) => {
    throw error instanceof SessionError ? error : new SessionError("load", `the runtime cannot be started: ${firstLine(error)}`, { detail: textOf(error) });
  });
  const input = await firstInput(folder, request);
  if (memory) {
    await beFound(folder);
    await remember(folder, "baseline");
  }
  phase("loading the model");
  let session = await load(job, done);
  if (memory) await remember(folder, "loaded");
  done.runtime = job.report(session);
  await session.setInputs(inModelOrder(session.inputs(), input));
  if (latency) {
    phase("measuring latency");
    done.latency = await measureLatency(() => session.invoke(), latency, job.stepMs);
  }
  if (memory) {
    phase("measuring memory");
    done.memory = await measureMemory(folder, session, memory);
  }
  if (outputs) {
    phase("computing outputs");
    if (memory) session = await load(job, done);
    done.outputs = await sendOutputs(folder, session, request);
  }
  if (outputs || !memory) await session.close();
  await session.inspect(job.files);
  done.runtime = job.report(session);
  if (profile) {
    done.profile_facts = { source: done.runtime.name, reason: `${done.runtime.name} does not time single operators in a browser` };
  }
}

async function load({ runtime, files, request }, done) {
  const fetched = await files();
  const start = performance.now();
  const session = await runtime.load(fetched, request.runtime);
  const elapsed = Math.round((performance.now() - start) * 1e6);
  if (done.load) done.load.warm_ns.push(elapsed);
  else done.load = { first_ns: elapsed, warm_ns: [] };
  return session;
}

/**
 * Fetches the artifact and its companions. They are checked once and then fetched anew for each load, so that a copy
 * of the file in the page counts as memory only while a runtime keeps it.
 */
async function fetchFiles(folder, artifact, { check }) {
  const files = [];
  for (const { file, sha256 } of [artifact, ...(artifact.companions ?? [])]) {
    const bytes = new Uint8Array(await (await ask(`${folder}files/${encodeURIComponent(file)}`)).arrayBuffer());
    if (check) await checkDigest(file, bytes, sha256);
    files.push({ file, bytes });
  }
  return files;
}

async function checkDigest(file, bytes, sha256) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (hex !== sha256) {
    throw new SessionError("digest", `the artifact '${file}' has sha256 ${hex}; the request expects ${sha256}: deploy it again`);
  }
}

/** Reads one input of the file; the file itself never gets into the memory of the page. */
async function input(folder, { inputs: { file, tensors } }, index) {
  const size = recordBytes(tensors);
  if (!size) return splitRecord(new ArrayBuffer(0), tensors);
  const range = `bytes=${index * size}-${(index + 1) * size - 1}`;
  const bytes = await (await ask(`${folder}files/${encodeURIComponent(file)}`, { headers: { Range: range } })).arrayBuffer();
  if (bytes.byteLength !== size) {
    throw new SessionError("input", `input ${index} of '${file}' has ${bytes.byteLength} bytes; its tensors take ${size}: push it again`);
  }
  return splitRecord(bytes, tensors);
}

async function firstInput(folder, request) {
  const { inputs, passes: { outputs } } = request;
  const size = Number((await ask(`${folder}files/${encodeURIComponent(inputs.file)}`, { method: "HEAD" })).headers.get("X-File-Bytes"));
  const needed = outputs?.count ?? 1;
  if (inputs.count < 1 || needed > inputs.count) {
    throw new SessionError("input", `the request has ${inputs.count} inputs but needs ${needed} for its passes: send at least that many`);
  }
  if (size !== inputs.count * recordBytes(inputs.tensors)) {
    throw new SessionError("input", `'${inputs.file}' has ${size} bytes; ${inputs.count} inputs of these tensors take ${inputs.count * recordBytes(inputs.tensors)}: push it again`);
  }
  return input(folder, request, 0);
}

/** Computes until phonebench has found out by that which of the browser's processes this is. */
async function beFound(folder) {
  for (let looks = 0; looks < 50 && !(await post(`${folder}renderers`, "")); looks += 1) {
    for (const began = performance.now(); performance.now() - began < 100;);
  }
}

/** Lets phonebench read the memory of this process now. */
function remember(folder, moment) {
  self.gc?.();
  return post(`${folder}memory`, moment);
}

async function measureMemory(folder, session, pass) {
  for (let call = 0; call < Math.max(1, pass.calls); call += 1) {
    await session.invoke();
    await post(`${folder}memory`, "steady");
  }
  await session.close();
  self.gc?.();
  await new Promise((done) => setTimeout(done, (pass.settle_ns ?? 0) / 1e6));
  return remember(folder, "retained");
}

async function sendOutputs(folder, session, request) {
  const { count } = request.passes.outputs;
  let tensors = null;
  for (let index = 0; index < count; index += 1) {
    const given = index ? await input(folder, request, index) : await firstInput(folder, request);
    await session.setInputs(inModelOrder(session.inputs(), given));
    await session.invoke();
    const results = await session.outputs();
    const specs = results.map(({ dtype, shape }, at) => ({ name: `output_${at}`, dtype, shape }));
    if (tensors && JSON.stringify(specs) !== JSON.stringify(tensors)) {
      throw new SessionError("run", "the outputs changed their shapes from one input to the next");
    }
    tensors = specs;
    await post(`${folder}outputs`, new Blob(results.map(({ data }) => data)));
  }
  return { file: "outputs.bin", count, tensors: tensors ?? [] };
}
