@testable import Core

/// A runtime that notes what happens to it, and replaces the file in the store, as a computer on the cable could.
final class SpyAdapter: RuntimeAdapter {
  let format = "onnx"
  private let stored: String
  private(set) var started = false
  private(set) var path = ""
  private(set) var loaded: [UInt8] = []
  private(set) var scratch = ""

  init(stored: String) { self.stored = stored }

  func start(_ request: RunRequest.Runtime) throws {
    started = true
    try File(writing: stored).write(text: "another model")
  }

  func prepared(_ path: String, scratch: String) throws -> String {
    self.scratch = scratch
    return path
  }

  func load(_ path: String, _ request: RunRequest.Runtime) throws -> any Session {
    self.path = path
    loaded = try Files.bytes(of: path)
    throw RunFailure.failed(.load, "the spy has seen enough")
  }
}
