import Core

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Where the runtimes' libraries are. Each is a dynamic library of its own and is opened only when it is needed: their
/// native code clashes in one image, and what is not loaded is in no reading of memory.
public struct Libraries: Sendable {
  private let folder: String

  /// `folder` is `Frameworks` of an app, or the folder with the `.so` files on Linux.
  public init(folder: String) {
    self.folder = folder
  }

  /// Whether the library of a runtime is there.
  public func has(_ kit: Kit) -> Bool {
    Files.exists(path(kit))
  }

  /// Open the library of a runtime, whose name for people is `title`. Throws a failure `load`, unsupported.
  func open(_ kit: Kit, title: String) throws -> NativeLibrary {
    guard has(kit) else {
      throw RunFailure.unsupported(.load, "this runner was built without \(title)")
    }
    // Never closed: runtimes keep threads and thread-local data that outlive their sessions.
    guard let handle = dlopen(path(kit), RTLD_NOW | RTLD_LOCAL) else {
      let reason = dlerror().map { String(cString: $0) } ?? "no reason was given"
      throw RunFailure.unsupported(
        .load, "the library of \(title) cannot be loaded on this device: \(RunFailure.firstLine(reason))",
        detail: reason)
    }
    return NativeLibrary(handle: handle, title: title)
  }

  private func path(_ kit: Kit) -> String {
    #if os(Linux)
      "\(folder)/\(kit.file)"
    #else
      "\(folder)/\(kit.rawValue).framework/\(kit.rawValue)"
    #endif
  }
}

/// The libraries, by the names of their frameworks in the app.
public enum Kit: String, CaseIterable, Sendable {
  case onnxRuntime = "OnnxRuntimeKit"
  case tflite = "TFLiteKit"
  case executorch = "ExecuTorchKit"
  case torch = "TorchKit"

  /// The name on Linux.
  var file: String {
    switch self {
    case .onnxRuntime: "libonnxruntime.so"
    case .tflite: "libtensorflowlite_c.so"
    case .executorch: "libexecutorch_kit.so"
    case .torch: "libtorch_kit.so"
    }
  }
}

/// An open library.
struct NativeLibrary {
  let handle: UnsafeMutableRawPointer
  private let title: String

  init(handle: UnsafeMutableRawPointer, title: String) {
    self.handle = handle
    self.title = title
  }

  /// The function `name`, which must have the C type that is asked for; nil if the library does not have it.
  func functionIfPresent<Function>(_ name: String, as type: Function.Type) -> Function? {
    dlsym(handle, name).map { unsafeBitCast($0, to: type) }
  }

  /// As above. Throws a failure `load`, unsupported, if the library does not have it.
  func function<Function>(_ name: String, as type: Function.Type) throws -> Function {
    guard let function = functionIfPresent(name, as: type) else {
      throw RunFailure.unsupported(.load, "the library of \(title) has no function \(name): it is of another version")
    }
    return function
  }
}
