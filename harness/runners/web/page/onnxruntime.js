"use strict";
// ONNX Runtime Web runs .onnx: delegate cpu is its WebAssembly build, gpu its WebGPU build.

const ONNX_NAME = "ONNX Runtime Web";
// One float identity. The first session of a page compiles the WebAssembly, which is no part of loading a model.
const IDENTITY = "CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEA0=";
const ONNX_TYPES = Object.keys(ELEMENTS);

const ONNX_BUILDS = {
  cpu: { script: "ort.wasm.min.js", core: "ort-wasm-simd-threaded", provider: "wasm" },
  gpu: { script: "ort.webgpu.min.js", core: "ort-wasm-simd-threaded.asyncify", provider: "webgpu" },
};

const onnxruntime = {
  /** Starts the runtime: the script, its WebAssembly and its threads. */
  async start(request, setup) {
    const build = ONNX_BUILDS[request.delegate];
    if (!build) throw noDelegate(ONNX_NAME, request.delegate, Object.keys(ONNX_BUILDS));
    refuseOptions(ONNX_NAME, request.options);
    const base = new URL(`libraries/${setup.libraries.onnx.folder}/`, self.location).href;
    importScripts(base + build.script);
    ort.env.logLevel = "error";
    ort.env.wasm.numThreads = request.threads;
    ort.env.wasm.proxy = false;
    ort.env.wasm.wasmPaths = { mjs: `${base}${build.core}.mjs`, wasm: `${base}${build.core}.wasm` };
    const warm = await ort.InferenceSession.create(Uint8Array.from(atob(IDENTITY), (c) => c.charCodeAt(0)));
    await warm.release();
  },

  async load(files, request) {
    const build = ONNX_BUILDS[request.delegate];
    const [main, ...rest] = files;
    const options = { executionProviders: [build.provider], logSeverityLevel: 3 };
    if (rest.length) options.externalData = rest.map(({ file, bytes }) => ({ path: file, data: bytes }));
    let native;
    try {
      native = await ort.InferenceSession.create(main.bytes, options);
    } catch (error) {
      throw loadError(main.file, ONNX_NAME, error);
    }
    return new OnnxSession(native, request, options);
  },
};

class OnnxSession {
  constructor(native, request, options) {
    Object.assign(this, { native, request, options, feeds: null, results: null, used: request.delegate });
    for (const [role, metadata] of [["input", native.inputMetadata], ["output", native.outputMetadata]]) {
      const odd = metadata.find((entry) => !entry.isTensor || !ONNX_TYPES.includes(entry.type));
      if (odd) {
        const what = odd.isTensor ? odd.type : "no tensor";
        const message = `${role} '${odd.name}' of the model is ${what}, which phonebench does not support: it must be a tensor of numbers`;
        throw new SessionError("load", message, { unsupported: true });
      }
    }
    this.specs = native.inputMetadata.map(({ name, type, shape }) => ({
      name, dtype: type, shape: shape.map((size) => (typeof size === "number" ? size : -1)),
    }));
  }

  inputs() { return this.specs; }

  setInputs(tensors) {
    checkInputs(this.specs, tensors);
    this.feeds = Object.fromEntries(this.specs.map(({ name, dtype }, index) =>
      [name, onnxTensor(dtype, cast(tensors[index], dtype), tensors[index].shape)]));
  }

  /** The whole call of the public interface: inputs into the runtime, the run, outputs back as arrays. */
  invoke() {
    return this.native.run(this.feeds).then(this.take, this.fail);
  }

  take = (results) => { this.results = results; };

  fail = (error) => { throw runError(ONNX_NAME, error); };

  async outputs() {
    return this.native.outputNames.map((name) => {
      const { type, dims, data } = this.results[name];
      return asOutput(type, [...dims], type === "float16" ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data);
    });
  }

  /** Finds out whether operators fell back to the processor: a session that forbids it then cannot be made. */
  async inspect(files) {
    if (this.request.delegate !== "gpu") return;
    const [main] = await files();
    const extra = { session: { disable_cpu_ep_fallback: "1" } };
    try {
      const strict = await ort.InferenceSession.create(main.bytes, { ...this.options, extra });
      await strict.release();
    } catch {
      this.used = "gpu+cpu";
    }
  }

  report() {
    return {
      name: "onnxruntime-web", version: ort.env.versions.web, delegate_requested: this.request.delegate,
      delegate_used: this.used, threads: ort.env.wasm.numThreads,
    };
  }

  async close() {
    this.feeds = this.results = null;
    await this.native.release();
  }
}

function onnxTensor(dtype, data, shape) {
  // Where the browser has Float16Array, the runtime takes only that.
  const values = dtype === "float16" && self.Float16Array ? new Float16Array(data.buffer, data.byteOffset, data.length) : data;
  return new ort.Tensor(dtype, values, shape);
}
