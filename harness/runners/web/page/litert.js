"use strict";
// LiteRT.js runs .tflite: delegate xnnpack is its WebAssembly build, gpu its WebGPU delegate.
// Its public interface knows three element types. Files with others, such as int8, go to the bindings beneath it, on the
// processor only. The bindings do without some checks, which saves such a file some microseconds of each call.

const LITERT_NAME = "LiteRT.js";
const LITERT_ACCELERATORS = { xnnpack: "wasm", gpu: "webgpu" };
const PUBLIC_TYPES = ["float32", "int32", "uint8"];
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
    let description;
    try {
      description = describeTflite(bytes);
    } catch (error) {
      throw loadError(file, LITERT_NAME, error);
    }
    for (const role of ["inputs", "outputs"]) {
      const strange = description[role].find(({ dtype }) => !Object.values(LITERT_TYPES).includes(dtype));
      if (strange) {
        const message = `${role.slice(0, -1)} '${strange.name}' of the model is ${strange.dtype}, which phonebench does not support: it must be a tensor of numbers`;
        throw new SessionError("load", message, { unsupported: true });
      }
    }
    const all = [...description.inputs, ...description.outputs];
    const odd = all.find(({ dtype }) => !PUBLIC_TYPES.includes(dtype));
    if (odd && request.delegate === "gpu") {
      throw new SessionError("delegate", `${LITERT_NAME} takes no ${odd.dtype} tensors on WebGPU, and '${odd.name}' is one`, { unsupported: true });
    }
    const options = {
      accelerator: LITERT_ACCELERATORS[request.delegate], cpuOptions: { numThreads: this.threads }, gpuOptions: {}, webNNOptions: {},
    };
    try {
      return odd ? await this.bind(bytes, options, description, request)
        : new LitertSession(this, { model: await this.library.loadAndCompile(bytes, options), description, request });
    } catch (error) {
      throw error instanceof SessionError ? error : loadError(file, LITERT_NAME, error);
    }
  },

  async bind(bytes, options, description, request) {
    const { module, environment } = this;
    const at = module._malloc(bytes.length);
    if (!at) throw new SessionError("oom", `${LITERT_NAME} has no memory left for the file: run a smaller model`);
    module.HEAPU8.set(bytes, at);
    const model = module.loadModel(environment, at, bytes.length);
    const compiled = await module.compileModel(environment, model, options);
    const release = () => { compiled.delete(); model.delete(); module._free(at); };
    return new BoundSession(this, { model, compiled, description, request, release });
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

/** A model behind the public interface. */
class LitertSession {
  constructor(runtime, parts) {
    Object.assign(this, { runtime, ...parts, tensors: [], results: [] });
    const names = (details) => details.map(({ name }) => name);
    this.order = {
      inputs: places(names(this.model.getInputDetails()), this.description.inputs),
      outputs: places(names(this.model.getOutputDetails()), this.description.outputs),
    };
    this.specs = logicalSpecs(this.description.inputs);
    // What LiteRT.js chose by itself, if the GPU could not run everything. A closed model does not tell.
    const { accelerator } = this.model.options;
    this.used = accelerator === "wasm" ? "xnnpack" : this.model.isFullyAccelerated ? "gpu" : "gpu+xnnpack";
  }

  inputs() { return this.specs; }

  async setInputs(tensors) {
    checkInputs(this.specs, tensors);
    for (const tensor of this.tensors) tensor.delete();
    this.tensors = [];
    for (const place of this.order.inputs) {
      const { data, shape } = stored(tensors[place], this.description.inputs[place]);
      const tensor = new this.runtime.library.Tensor(data, fitting(shape, this.description.inputs[place]));
      this.tensors.push(this.model.options.accelerator === "webgpu" ? await tensor.moveTo("webgpu") : tensor);
    }
  }

  /** A call with WebGPU ends when its outputs can be read. */
  async invoke() {
    for (const result of this.results) result.delete();
    this.results = [];
    try {
      this.results = await this.model.run(this.tensors);
      if (this.used !== "xnnpack") this.results = await Promise.all(this.results.map(onProcessor));
    } catch (error) {
      throw runError(LITERT_NAME, error);
    }
  }

  async outputs() {
    return this.description.outputs.map((own, place) => {
      const result = this.results[this.order.outputs.indexOf(place)];
      return real(own, own.dtype, [...result.type.layout.dimensions], result.toTypedArray());
    });
  }

  async inspect() {}

  report() {
    return {
      name: "litert-web", version: this.runtime.version, delegate_requested: this.request.delegate,
      delegate_used: this.used, threads: this.runtime.threads,
    };
  }

  async close() {
    for (const tensor of [...this.tensors, ...this.results]) tensor.delete();
    this.tensors = this.results = [];
    this.model.delete();
  }
}

/** A model behind the bindings, on the processor. */
class BoundSession {
  constructor(runtime, parts) {
    Object.assign(this, { runtime, ...parts, buffers: [], results: [] });
    const signature = this.model.getSignature(0);
    this.order = {
      inputs: places(listed(signature.inputNames()), this.description.inputs),
      outputs: places(listed(signature.outputNames()), this.description.outputs),
    };
    signature.delete();
    this.specs = logicalSpecs(this.description.inputs);
  }

  inputs() { return this.specs; }

  setInputs(tensors) {
    checkInputs(this.specs, tensors);
    this.drop("buffers");
    for (const [index, place] of this.order.inputs.entries()) {
      const { data, shape } = stored(tensors[place], this.description.inputs[place]);
      fitting(shape, this.description.inputs[place]);
      this.buffers.push(this.filled(data, index));
    }
  }

  /** A call is synchronous. */
  invoke() {
    this.drop("results");
    try {
      this.results = this.compiled.run(0, this.buffers);
    } catch (error) {
      throw runError(LITERT_NAME, error);
    }
  }

  async outputs() {
    return this.description.outputs.map((own, place) => {
      const { dtype, shape, data } = this.read(this.results[this.order.outputs.indexOf(place)]);
      return real(own, dtype, shape, data);
    });
  }

  async inspect() {}

  report() {
    const { delegate } = this.request;
    return {
      name: "litert-web", version: this.runtime.version, delegate_requested: delegate, delegate_used: delegate,
      threads: this.runtime.threads,
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

  filled(data, index) {
    const { module, environment } = this.runtime;
    const type = this.model.getInputTensorType(0, index);
    const buffer = module.LiteRtTensorBuffer.createManaged(environment, module.LiteRtTensorBufferType.HOST_MEMORY, type, data.byteLength);
    type.delete();
    const at = buffer.lock(module.LiteRtTensorBufferLockMode.WRITE);
    module.HEAPU8.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    buffer.unlock();
    return buffer;
  }

  read(buffer) {
    const { module } = this.runtime;
    const type = buffer.tensorType();
    const layout = type.layout();
    const shape = listed(layout.dimensions());
    const dtype = LITERT_TYPES[type.elementType().value];
    layout.delete();
    type.delete();
    const at = buffer.lock(module.LiteRtTensorBufferLockMode.READ);
    const bytes = module.HEAPU8.slice(at, at + buffer.packedSize());
    buffer.unlock();
    return { dtype, shape, data: new ELEMENTS[dtype](bytes.buffer) };
  }
}

/** Returns a tensor that can be read. Asking where it is takes microseconds, so only calls with WebGPU do. */
const onProcessor = (tensor) => (tensor.accelerator === "webgpu" ? tensor.moveTo("wasm") : tensor);

const logicalSpecs = (tensors) => tensors.map((tensor) => ({
  name: tensor.name, dtype: isQuantised(tensor) ? "float32" : tensor.dtype, shape: tensor.shape,
}));

/** Returns an input as the file stores it. */
function stored(given, own) {
  const quantise = isQuantised(own) && isFloat(given.dtype);
  return { shape: given.shape, data: quantise ? quantiseValues(cast(given, "float32"), own) : cast(given, own.dtype) };
}

/** Returns an output as the wire has it: real values. */
function real(own, dtype, shape, data) {
  return isQuantised(own) ? { dtype: "float32", shape, data: dequantiseValues(data, own) } : asOutput(dtype, shape, data);
}

/** Returns the shape unless the file leaves a size open: LiteRT.js takes the size that the file was exported with. */
function fitting(shape, own) {
  if (own.exported.every((size, at) => size === shape[at])) return shape;
  const message = `${LITERT_NAME} cannot change the shape of input '${own.name}' to [${shape.join(", ")}]: export the model with a fixed shape`;
  throw new SessionError("input", message, { unsupported: true });
}

function listed(vector) {
  const all = Array.from({ length: vector.size() }, (_, index) => vector.get(index));
  vector.delete();
  return all;
}

/** Returns for each name of the signature the place of its tensor in the graph. */
function places(names, tensors) {
  return names.map((name, index) => {
    const place = tensors.findIndex((tensor) => tensor.name === name);
    return place < 0 ? index : place;
  });
}
