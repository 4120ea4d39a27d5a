import COnnxRuntime
import Core

/// ONNX Runtime's C API, and the environment that all sessions of the process share.
struct OnnxRuntime {
  static let name = "onnxruntime"

  let api: UnsafePointer<OrtApi>
  let environment: OpaquePointer
  let version: String

  /// Throws a failure `load`, unsupported, if the library is missing or of another version.
  init(_ libraries: Libraries) throws {
    let library = try libraries.open(.onnxRuntime, title: "ONNX Runtime")
    typealias GetBase = @convention(c) () -> UnsafePointer<OrtApiBase>
    let base = try library.function("OrtGetApiBase", as: GetBase.self)().pointee
    version = base.GetVersionString().map { String(cString: $0) } ?? "unknown"
    guard let api = base.GetApi(UInt32(ORT_API_VERSION)) else {
      throw RunFailure.unsupported(
        .load, "ONNX Runtime \(version) is older than what this runner was built for (API \(ORT_API_VERSION))")
    }
    self.api = api
    environment = try OnnxRuntime.made(api) { api.pointee.CreateEnv(ORT_LOGGING_LEVEL_FATAL, "phonebench", $0) }
  }

  /// Throw the reason of a call that failed.
  func check(_ status: OpaquePointer?) throws {
    try OnnxRuntime.check(api, status)
  }

  /// What a call makes through a pointer to a pointer.
  func made(_ call: (UnsafeMutablePointer<OpaquePointer?>) -> OpaquePointer?) throws -> OpaquePointer {
    try OnnxRuntime.made(api, call)
  }

  /// The names of the execution providers in this build.
  func providers() throws -> [String] {
    var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
    var count: Int32 = 0
    try check(api.pointee.GetAvailableProviders(&names, &count))
    defer { _ = api.pointee.ReleaseAvailableProviders(names, count) }
    return (0..<Int(count)).compactMap { names?[$0].map { String(cString: $0) } }
  }

  /// The allocator for what the API hands over.
  func allocator() throws -> UnsafeMutablePointer<OrtAllocator> {
    var allocator: UnsafeMutablePointer<OrtAllocator>?
    try check(api.pointee.GetAllocatorWithDefaultOptions(&allocator))
    guard let allocator else { throw OnnxError(reason: "ONNX Runtime has no allocator for this processor") }
    return allocator
  }

  /// A text that a call hands over.
  func text(
    _ call: (UnsafeMutablePointer<OrtAllocator>, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> OpaquePointer?
  ) throws -> String {
    let allocator = try allocator()
    var text: UnsafeMutablePointer<CChar>?
    try check(call(allocator, &text))
    guard let text else { throw OnnxError(reason: "ONNX Runtime gave no text where one was due") }
    defer { _ = api.pointee.AllocatorFree(allocator, text) }
    return String(cString: text)
  }

  private static func check(_ api: UnsafePointer<OrtApi>, _ status: OpaquePointer?) throws {
    guard let status else { return }
    defer { api.pointee.ReleaseStatus(status) }
    throw OnnxError(reason: api.pointee.GetErrorMessage(status).map { String(cString: $0) } ?? "")
  }

  private static func made(
    _ api: UnsafePointer<OrtApi>, _ call: (UnsafeMutablePointer<OpaquePointer?>) -> OpaquePointer?
  ) throws -> OpaquePointer {
    var pointer: OpaquePointer?
    try check(api, call(&pointer))
    guard let pointer else { throw OnnxError(reason: "ONNX Runtime reported success, but made nothing") }
    return pointer
  }
}

/// What ONNX Runtime says about a call that failed.
struct OnnxError: Error {
  let reason: String
}
