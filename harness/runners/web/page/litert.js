"use strict";
// LiteRT.js runs .tflite: delegate xnnpack is its WebAssembly build, gpu its WebGPU delegate.
// On the processor the calls go to its bindings, which know every element type; its Tensor class knows three.

const LITERT_NAME = "LiteRT.js";
const LITERT_ACCELERATORS = { xnnpack: "wasm", gpu: "webgpu" };
// litert::ElementType, by number.
const LITERT_TYPES = {
  1: "float32", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8", 10: "float16", 11: "float64",
  13: "uint64", 16: "uint32", 17: "uint16",
};

const litert = {
  module: null,
  library: null,
  version: "",
  threads: 1,

  /** Starts the runtime. More than one thread and WebGPU have WebAssembly files of their own. */
  async start(request, setup) {
    if (!LITERT_ACCELERATORS[request.delegate]) throw noDelegate(LITERT_NAME, request.delegate, Object.keys(LITERT_ACCELERATORS));
    refuseOptions(LITERT_NAME, request.options);
    const base = new URL(`libraries/${setup.libraries.tflite.folder}/`, self.location).href;
    // Emscripten otherwise looks for its WebAssembly beside this worker, and starts this worker's file as its threads.
    self.Module = { locateFile: (name) => base + name, mainScriptUrlOrBlob: `${base}litert_wasm_threaded_internal.js` };
    const gpu = request.delegate === "gpu";
    if (!gpu) hideGpu();
    this.library = await import(`${base}index.js`);
    const started = await this.library.loadLiteRt(base, { threads: request.threads > 1 && !gpu, jspi: gpu && "Suspending" in WebAssembly });
    this.module = started.liteRtWasm;
    this.environment = this.library.getDefaultEnvironment().liteRtEnvironment;
    this.version = setup.libraries.tflite.version;
    this.threads = request.threads;
  },

  async load(files, request) {
    const [{ file, bytes }] = files;
    const { module } = this;
    let description;
    try {
      description = describeTflite(bytes);
    } catch (error) {
      throw loadError(file, LITERT_NAME, error);
    }
    for (const role of ["inputs", "outputs"]) {
      const odd = description[role].find(({ dtype }) => !Object.values(LITERT_TYPES).includes(dtype));
      if (odd) {
        const message = `${role.slice(0, -1)} '${odd.name}' of the model is ${odd.dtype}, which phonebench does not support: it must be a tensor of numbers`;
        throw new SessionError("load", message, { unsupported: true });
      }
    }
    const at = module._malloc(bytes.length);
    if (!at) throw new SessionError("oom", `${LITERT_NAME} has no memory left for '${file}': run a smaller model`);
    module.HEAPU8.set(bytes, at);
    let model;
    try {
      model = module.loadModel(this.environment, at, bytes.length);
      const compiled = await module.compileModel(this.environment, model, {
        accelerator: LITERT_ACCELERATORS[request.delegate], cpuOptions: { numThreads: this.threads }, gpuOptions: {}, webNNOptions: {},
      });
      const release = () => { compiled.delete(); model.delete(); module._free(at); };
      return new LitertSession(this, { model, compiled, description, request, release });
    } catch (error) {
      throw loadError(file, LITERT_NAME, error);
    }
  },
};

/** LiteRT.js opens a WebGPU device whenever there is one, even where it then computes on the processor. */
function hideGpu() {
  try {
    Object.defineProperty(navigator, "gpu", { value: undefined, configurable: true });
  } catch {
    // Then it opens one, which costs memory outside of this process.
  }
}

class LitertSession {
  constructor(runtime, parts) {
    Object.assign(this, { runtime, ...parts, buffers: [], results: [], gpu: parts.request.delegate === "gpu" });
    const signature = this.model.getSignature(0);
    this.order = {
      inputs: places(signature.inputNames(), this.description.inputs),
      outputs: places(signature.outputNames(), this.description.outputs),
    };
    signature.delete();
    this.fully = this.compiled.isFullyAccelerated();
    this.specs = this.description.inputs.map((tensor) => ({
      name: tensor.name, dtype: isQuantised(tensor) ? "float32" : tensor.dtype, shape: tensor.shape,
    }));
  }

  inputs() { return this.specs; }

  async setInputs(tensors) {
    checkInputs(this.specs, tensors);
    this.drop("buffers");
    for (const [index, place] of this.order.inputs.entries()) {
      const given = tensors[place];
      const own = this.description.inputs[place];
      const data = isQuantised(own) && isFloat(given.dtype)
        ? quantiseValues(cast(given, "float32"), own) : cast(given, own.dtype);
      this.buffers.push(this.gpu ? await this.onGpu(data, given.shape) : this.onProcessor(data, index, given.shape));
    }
  }

  /** On the processor a call is synchronous. On the GPU it ends when the outputs can be read. */
  invoke() {
    for (const result of this.results) result.delete();
    this.results = [];
    try {
      const results = this.compiled.run(0, this.buffers.map((buffer) => buffer.liteRtTensorBuffer ?? buffer));
      if (this.gpu || typeof results.then === "function") return this.finish(results);
      this.results = results;
    } catch (error) {
      throw runError(LITERT_NAME, error);
    }
    return undefined;
  }

  async finish(results) {
    try {
      const tensors = (await results).map((buffer) => new this.runtime.library.Tensor(buffer));
      this.results = await Promise.all(tensors.map((tensor) => (tensor.accelerator === "webgpu" ? tensor.moveTo("wasm") : tensor)));
    } catch (error) {
      throw runError(LITERT_NAME, error);
    }
  }

  async outputs() {
    return this.description.outputs.map((own, place) => {
      const result = this.results[this.order.outputs.indexOf(place)];
      const { dtype, shape, data } = this.read(result.liteRtTensorBuffer ?? result);
      return isQuantised(own) ? { dtype: "float32", shape, data: dequantiseValues(data, own) } : asOutput(dtype, shape, data);
    });
  }

  async inspect() {}

  report() {
    const { delegate } = this.request;
    return {
      name: "litert-web", version: this.runtime.version, delegate_requested: delegate,
      delegate_used: delegate === "gpu" && !this.fully ? "gpu+xnnpack" : delegate, threads: this.runtime.threads,
    };
  }

  async close() {
    this.drop("buffers");
    this.drop("results");
    this.release();
  }

  drop(list) {
    for (const buffer of this[list]) buffer.delete();
    this[list] = [];
  }

  onProcessor(data, index, shape) {
    const { module, environment } = this.runtime;
    const type = this.model.getInputTensorType(0, index);
    const bytes = type.bytes();
    if (bytes !== data.byteLength) {
      type.delete();
      const message = `${LITERT_NAME} cannot change the shape of input ${index} to [${shape.join(", ")}]: export the model with a fixed shape`;
      throw new SessionError("input", message, { unsupported: true });
    }
    const buffer = module.LiteRtTensorBuffer.createManaged(environment, module.LiteRtTensorBufferType.HOST_MEMORY, type, bytes);
    type.delete();
    const at = buffer.lock(module.LiteRtTensorBufferLockMode.WRITE);
    module.HEAPU8.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    buffer.unlock();
    return buffer;
  }

  async onGpu(data, shape) {
    try {
      const tensor = new this.runtime.library.Tensor(data, shape);
      return await tensor.moveTo("webgpu");
    } catch (error) {
      throw new SessionError("delegate", `${LITERT_NAME} cannot put this input on the GPU: ${firstLine(error)}`, { unsupported: true });
    }
  }

  read(buffer) {
    const { module } = this.runtime;
    const type = buffer.tensorType();
    const layout = type.layout();
    const sizes = layout.dimensions();
    const shape = Array.from({ length: sizes.size() }, (_, index) => sizes.get(index));
    const dtype = LITERT_TYPES[type.elementType().value];
    for (const handle of [sizes, layout, type]) handle.delete();
    const at = buffer.lock(module.LiteRtTensorBufferLockMode.READ);
    const bytes = module.HEAPU8.slice(at, at + buffer.packedSize());
    buffer.unlock();
    return { dtype, shape, data: new ELEMENTS[dtype](bytes.buffer) };
  }
}

/** Returns for each name of the signature the place of its tensor in the graph. */
function places(names, tensors) {
  const all = Array.from({ length: names.size() }, (_, index) => names.get(index));
  names.delete();
  return all.map((name, index) => {
    const place = tensors.findIndex((tensor) => tensor.name === name);
    return place < 0 ? index : place;
  });
}
