import CTFLite
import Core

/// TensorFlow Lite runs `.tflite`. Delegate `cpu` means the built-in kernels, without any delegate.
public final class TfliteAdapter: RuntimeAdapter {
  static let name = "litert"
  static let title = "TensorFlow Lite"

  public let format = "tflite"
  private let libraries: Libraries
  private var runtime: TfliteLibrary?

  public init(_ libraries: Libraries) {
    self.libraries = libraries
  }

  public func start(_ request: RunRequest.Runtime) throws {
    try request.refuseOptions(of: TfliteAdapter.title)
    runtime = try TfliteLibrary(libraries)
  }

  public func load(_ path: String, _ request: RunRequest.Runtime) throws -> any Session {
    try session(path, request)
  }

  public func observed(
    _ path: String, _ request: RunRequest.Runtime, _ inputs: [Tensor], scratch: String, report: RunReply.Runtime
  ) throws -> RunReply.Runtime {
    let session = try session(path, request)
    defer { session.close() }
    try session.setInputs(inputs)
    return session.observed()
  }

  private func session(_ path: String, _ request: RunRequest.Runtime) throws -> TfliteSession {
    guard let runtime else { preconditionFailure("the runtime is used before its start") }
    let file = try TfliteFile(path)
    do {
      return try TfliteSession(runtime, path, file, request)
    } catch let failure as RunFailure where failure.kind == .load && request.delegate.takesNodes {
      // Blame the delegate if the interpreter loads the file without it.
      let plain = RunRequest.Runtime(delegate: .cpu, threads: request.threads)
      guard let session = try? TfliteSession(runtime, path, file, plain) else { throw failure }
      session.close()
      throw RunFailure.unsupported(
        .delegate,
        "the \(request.delegate.rawValue) delegate of \(TfliteAdapter.title) cannot run this model on this device: "
          + RunFailure.firstLine(failure.detail), detail: failure.detail)
    }
  }
}

extension Delegate {
  /// Whether it is a delegate in TensorFlow Lite's words.
  fileprivate var takesNodes: Bool { self != .cpu }
}

extension RunRequest.Runtime {
  /// Throw a failure `input` if there are options, for a runtime called `title` that has none.
  func refuseOptions(of title: String) throws {
    guard options.isEmpty else {
      throw RunFailure.failed(
        .input, "\(title) takes no options here, but the request has \(options.keys.sorted()): remove them")
    }
  }
}

/// The open library and its functions.
struct TfliteLibrary {
  let table: pb_tflite
  let handle: UnsafeMutableRawPointer
  let version: String

  init(_ libraries: Libraries) throws {
    let library = try libraries.open(.tflite, title: TfliteAdapter.title)
    var table = pb_tflite()
    if let missing = pb_tflite_open(library.handle, &table) {
      throw RunFailure.unsupported(
        .load,
        "the library of \(TfliteAdapter.title) has no function \(String(cString: missing)): it is of another version")
    }
    self.table = table
    handle = library.handle
    version = table.TfLiteVersion().map { String(cString: $0) } ?? "unknown"
  }

  /// A delegate of the library, or nil for the built-in kernels. Throws a failure `delegate`, unsupported.
  func delegate(_ request: RunRequest.Runtime) throws -> TfliteDelegate? {
    let kind: pb_tflite_delegate
    switch request.delegate {
    case .cpu: return nil
    case .xnnpack: kind = PB_TFLITE_XNNPACK
    case .gpu: kind = PB_TFLITE_METAL
    case .coreml: kind = PB_TFLITE_COREML
    case .nnapi:
      throw RunFailure.unsupported(.delegate, "NNAPI exists on Android only: use cpu, xnnpack, gpu or coreml")
    case .qnn:
      throw RunFailure.unsupported(.delegate, "\(TfliteAdapter.title) has no qnn delegate: it is for .onnx on Android")
    }
    guard let native = pb_tflite_delegate_create(handle, kind, Int32(request.threads)) else {
      throw RunFailure.unsupported(
        .delegate,
        "this device or this build of \(TfliteAdapter.title) has no \(request.delegate.rawValue) delegate")
    }
    return TfliteDelegate(native: native, kind: kind, handle: handle)
  }
}

/// A delegate, which must outlive the interpreter that uses it.
final class TfliteDelegate {
  let native: OpaquePointer
  private let kind: pb_tflite_delegate
  private let handle: UnsafeMutableRawPointer

  init(native: OpaquePointer, kind: pb_tflite_delegate, handle: UnsafeMutableRawPointer) {
    self.native = native
    self.kind = kind
    self.handle = handle
  }

  deinit {
    pb_tflite_delegate_delete(handle, kind, native)
  }
}
