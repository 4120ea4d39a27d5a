import COnnxRuntime
import Core

/// ONNX Runtime runs `.onnx`. Its library for Linux and its framework for iOS have the same C API.
///
/// The request's `options` become session configuration entries, under the names that ONNX Runtime gives them. Those
/// that begin with `coreml.` are options of the Core ML provider, such as `coreml.MLComputeUnits`.
public final class OnnxAdapter: RuntimeAdapter {
  private static let coreMLPrefix = "coreml."

  public let format = "onnx"
  private let libraries: Libraries
  private var runtime: OnnxRuntime?

  public init(_ libraries: Libraries) {
    self.libraries = libraries
  }

  public func start(_ request: RunRequest.Runtime) throws {
    do {
      let runtime = try OnnxRuntime(libraries)
      try OnnxAdapter.requireProvider(request.delegate, of: runtime.providers())
      self.runtime = runtime
    } catch let error as OnnxError {
      throw RunFailure.unsupported(.load, "ONNX Runtime does not start: \(error.reason)", detail: error.reason)
    }
  }

  public func load(_ path: String, _ request: RunRequest.Runtime) throws -> any Session {
    let options = try options(request)
    defer { started.api.pointee.ReleaseSessionOptions(options) }
    return try session(path, request, options)
  }

  public func observed(
    _ path: String, _ request: RunRequest.Runtime, _ inputs: [Tensor], scratch: String, report: RunReply.Runtime
  ) throws -> RunReply.Runtime {
    let trace = try trace(path, request, inputs, calls: 1, scratch: scratch)
    return trace.report(report, delegate: request.delegate)
  }

  public func profile(
    _ path: String, _ request: RunRequest.Runtime, _ inputs: [Tensor], calls: Int, scratch: String
  ) throws -> Profiled {
    // One more, because a first call allocates memory. Its times are left out.
    let trace = try trace(path, request, inputs, calls: calls + 1, scratch: scratch)
    let facts = RunReply.ProfileFacts(
      source: "\(OnnxRuntime.name) \(started.version)", callsNs: trace.callsNs(afterFirst: true))
    return Profiled(operators: trace.operators(), facts: facts)
  }

  /// What ONNX Runtime records about `calls` calls of a session of its own.
  private func trace(_ path: String, _ request: RunRequest.Runtime, _ inputs: [Tensor], calls: Int, scratch: String)
    throws -> OnnxTrace
  {
    let options = try options(request)
    defer { started.api.pointee.ReleaseSessionOptions(options) }
    do {
      try started.check(started.api.pointee.EnableProfiling(options, "\(scratch)/profile"))
      let session = try session(path, request, options)
      defer { session.close() }
      try session.setInputs(inputs)
      for _ in 0..<calls { try session.invoke() }
      let file = try session.endProfiling()
      defer { Files.remove(file) }
      return try OnnxTrace(Json.parse(Files.bytes(of: file)))
    } catch let error as OnnxError {
      throw RunFailure.call(OnnxRuntime.name, error.reason)
    }
  }

  private func session(_ path: String, _ request: RunRequest.Runtime, _ options: OpaquePointer) throws -> OnnxSession {
    do {
      let native = try started.made {
        started.api.pointee.CreateSession(started.environment, path, options, $0)
      }
      return try OnnxSession(started, native, request)
    } catch let error as OnnxError {
      throw RunFailure.load(OnnxRuntime.name, path, error.reason)
    }
  }

  private func options(_ request: RunRequest.Runtime) throws -> OpaquePointer {
    let api = started.api.pointee
    do {
      let options = try started.made { api.CreateSessionOptions($0) }
      try started.check(api.SetSessionLogSeverityLevel(options, Int32(ORT_LOGGING_LEVEL_FATAL.rawValue)))
      // The requested threads are for the inside of one operator; operators are not run side by side.
      try started.check(api.SetInterOpNumThreads(options, 1))
      let xnnpack = request.delegate == .xnnpack
      try started.check(api.SetIntraOpNumThreads(options, xnnpack ? 1 : Int32(request.threads)))
      #if arch(x86_64)
        // Kernels of processors before VNNI saturate where no phone does: see saturation.py of the host runner.
        try started.check(api.AddSessionConfigEntry(options, "session.x64quantprecision", "1"))
      #endif
      for (key, value) in request.options where !key.hasPrefix(OnnxAdapter.coreMLPrefix) {
        try started.check(api.AddSessionConfigEntry(options, key, value))
      }
      try addProvider(options, request)
      return options
    } catch let error as OnnxError {
      throw RunFailure.unsupported(
        .delegate,
        "onnxruntime cannot use the delegate \(request.delegate.rawValue): "
          + RunFailure.firstLine(error.reason), detail: error.reason)
    }
  }

  /// Add the execution provider of the delegate. XNNPACK has its own threads, and spinning threads of ONNX Runtime
  /// would compete with them for the cores.
  private func addProvider(_ options: OpaquePointer, _ request: RunRequest.Runtime) throws {
    switch request.delegate {
    case .xnnpack:
      try started.check(started.api.pointee.AddSessionConfigEntry(options, "session.intra_op.allow_spinning", "0"))
      try append("XNNPACK", ["intra_op_num_threads": String(request.threads)], to: options)
    case .coreml:
      // Of the two kinds of model that the provider can make, Apple develops this one.
      var settings = ["ModelFormat": "MLProgram", "MLComputeUnits": "ALL"]
      for (key, value) in request.options where key.hasPrefix(OnnxAdapter.coreMLPrefix) {
        settings[String(key.dropFirst(OnnxAdapter.coreMLPrefix.count))] = value
      }
      try append("CoreML", settings, to: options)
    case .cpu, .gpu, .nnapi, .qnn: break
    }
  }

  private func append(_ provider: String, _ settings: [String: String], to options: OpaquePointer) throws {
    let pairs = settings.sorted { $0.key < $1.key }
    let status = withCStrings(pairs.map(\.key)) { keys in
      withCStrings(pairs.map(\.value)) { values in
        started.api.pointee.SessionOptionsAppendExecutionProvider(options, provider, keys, values, pairs.count)
      }
    }
    try started.check(status)
  }

  private static func requireProvider(_ delegate: Delegate, of available: [String]) throws {
    let offered = Delegate.allCases.filter { OnnxTrace.provider(of: $0).map(available.contains) ?? false }
    guard offered.contains(delegate) else {
      let names = offered.map(\.rawValue).joined(separator: ", ")
      throw RunFailure.unsupported(
        .delegate, "this build of onnxruntime has no \(delegate.rawValue) delegate (it has: \(names))")
    }
  }

  private var started: OnnxRuntime {
    guard let runtime else { preconditionFailure("the runtime is used before its start") }
    return runtime
  }
}

/// Call `body` with C strings, which live as long as the call.
func withCStrings<Result>(_ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) throws -> Result) rethrows
  -> Result
{
  let copies = texts.map { text in
    let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.utf8.count + 1)
    text.withCString { copy.initialize(from: $0, count: text.utf8.count + 1) }
    return copy
  }
  defer { for copy in copies { copy.deallocate() } }
  return try copies.map { UnsafePointer($0) as UnsafePointer<CChar>? }.withUnsafeBufferPointer {
    try body($0.baseAddress!)
  }
}
