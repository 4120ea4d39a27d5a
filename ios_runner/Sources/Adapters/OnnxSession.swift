import COnnxRuntime
import Core

/// An inference session with bound inputs and outputs. A timed call is a run, which allocates the outputs.
final class OnnxSession: Session {
  typealias Run = @convention(c) (OpaquePointer?, OpaquePointer?, OpaquePointer?) -> OpaquePointer?

  let inputs: [TensorSpec]?
  private let runtime: OnnxRuntime
  private let request: RunRequest.Runtime
  private let types: [OnnxType]
  private let outputNames: [String]
  private let run: Run
  private var native: OpaquePointer?
  private var binding: OpaquePointer?
  // ONNX Runtime keeps only a pointer to the data, so the tensors must stay alive.
  private var bound: [(value: OpaquePointer, tensor: Tensor)] = []

  init(_ runtime: OnnxRuntime, _ native: OpaquePointer, _ request: RunRequest.Runtime) throws {
    self.runtime = runtime
    self.native = native
    self.request = request
    run = runtime.api.pointee.RunWithBinding
    do {
      let described = try OnnxSession.described(runtime, native, .input)
      inputs = described.map(\.spec)
      types = described.map(\.type)
      // Before any call, so that a model that cannot be measured is not run first.
      outputNames = try OnnxSession.described(runtime, native, .output).map(\.spec.name)
      binding = try runtime.made { runtime.api.pointee.CreateIoBinding(native, $0) }
    } catch {
      runtime.api.pointee.ReleaseSession(native)
      throw error
    }
  }

  deinit {
    close()
  }

  var report: RunReply.Runtime {
    RunReply.Runtime(name: OnnxRuntime.name, version: runtime.version, request: request)
  }

  func setInputs(_ tensors: [Tensor]) throws {
    let api = runtime.api.pointee
    api.ClearBoundInputs(binding)
    api.ClearBoundOutputs(binding)
    releaseInputs()
    do {
      let memory = try runtime.made { api.CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, $0) }
      defer { api.ReleaseMemoryInfo(memory) }
      for (at, tensor) in tensors.enumerated() {
        let stored = try types[at].stored(tensor)
        let value = try types[at].value(of: stored, runtime, memory)
        bound.append((value, stored))
        try runtime.check(api.BindInput(binding, inputs![at].name, value))
      }
      for name in outputNames { try runtime.check(api.BindOutputToDevice(binding, name, memory)) }
    } catch let error as OnnxError {
      throw RunFailure.call(OnnxRuntime.name, error.reason)
    }
  }

  func invoke() throws {
    if let status = run(native, nil, binding) { try fail(status) }
  }

  func outputs() throws -> [Tensor] {
    let api = runtime.api.pointee
    do {
      let allocator = try runtime.allocator()
      var values: UnsafeMutablePointer<OpaquePointer?>?
      var count = 0
      try runtime.check(api.GetBoundOutputValues(binding, allocator, &values, &count))
      let all = (0..<count).map { values?[$0] }
      _ = api.AllocatorFree(allocator, values)
      defer { for value in all { api.ReleaseValue(value) } }
      return try all.map { try OnnxType.output(of: $0, runtime) }
    } catch let error as OnnxError {
      throw RunFailure.call(OnnxRuntime.name, error.reason)
    }
  }

  /// Write the trace of a session that was made with profiling, and return its file.
  func endProfiling() throws -> String {
    try runtime.text { runtime.api.pointee.SessionEndProfiling(native, $0, $1) }
  }

  func close() {
    guard let native else { return }
    self.native = nil
    runtime.api.pointee.ReleaseIoBinding(binding)
    binding = nil
    releaseInputs()
    runtime.api.pointee.ReleaseSession(native)
  }

  private func fail(_ status: OpaquePointer) throws {
    do {
      try runtime.check(status)
    } catch let error as OnnxError {
      throw RunFailure.call(OnnxRuntime.name, error.reason)
    }
  }

  private func releaseInputs() {
    for item in bound { runtime.api.pointee.ReleaseValue(item.value) }
    bound = []
  }
}

extension OnnxSession {
  private enum Role: String { case input, output }

  /// The inputs or outputs of a session. Throws a failure `load`, unsupported, for one that is no tensor of numbers.
  private static func described(_ runtime: OnnxRuntime, _ native: OpaquePointer, _ role: Role) throws
    -> [(spec: TensorSpec, type: OnnxType)]
  {
    let api = runtime.api.pointee
    var count = 0
    try runtime.check(
      role == .input ? api.SessionGetInputCount(native, &count) : api.SessionGetOutputCount(native, &count))
    return try (0..<count).map { at in
      let name = try runtime.text {
        role == .input
          ? api.SessionGetInputName(native, at, $0, $1) : api.SessionGetOutputName(native, at, $0, $1)
      }
      let info = try runtime.made {
        role == .input ? api.SessionGetInputTypeInfo(native, at, $0) : api.SessionGetOutputTypeInfo(native, at, $0)
      }
      defer { api.ReleaseTypeInfo(info) }
      var tensor: OpaquePointer?
      try runtime.check(api.CastTypeInfoToTensorInfo(info, &tensor))
      guard let tensor else { throw noNumbers(role, name, "not a tensor") }
      let (type, shape) = try OnnxType.described(tensor, runtime)
      guard let type = type.known else { throw noNumbers(role, name, "a tensor of type \(type.raw)") }
      return (TensorSpec(name: name, dtype: type.dtype, shape: shape), type)
    }
  }

  private static func noNumbers(_ role: Role, _ name: String, _ kind: String) -> RunFailure {
    .unsupported(
      .load,
      "\(role.rawValue) '\(name)' of the model is \(kind), which phonebench does not support: "
        + "it must be a tensor of numbers")
  }
}
