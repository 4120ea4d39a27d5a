import Adapters
import XCTest

@testable import Core

/// A job of a runner with a key, whose files are those in tests/golden/signing.
final class SignedJobTests: XCTestCase {
  private static let model = "1706adee00751036563a808eb4375501f6e5bcefb3c7b32bbdfd416a48d43f94"
  private static let inputs = "df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119"

  func testTheRuntimeLoadsACopyThatNobodyElseCanReplace() throws {
    let (spy, failure, folder) = try run(signature: "model-by-1.1.sig")
    XCTAssertEqual(try failure.text("message"), "the spy has seen enough")
    XCTAssertEqual(spy.loaded, try Golden.bytes("../signing/model.bin"))
    XCTAssertEqual(spy.path, "\(folder)/caches/model.bin")
    // What a runtime unpacks from it is there too, and nothing stays.
    XCTAssertEqual(spy.scratch, "\(folder)/caches")
    XCTAssertFalse(Files.exists("\(folder)/caches"))
  }

  func testNoRuntimeStartsForWhatIsNotSigned() throws {
    for (signature, key, stored, reason) in [
      (nil, "P-256.pub", "model.bin", "has no signature"),
      ("model-by-1.1.sig", "P-384.pub", "model.bin", "is not by the key"),
      ("folder.sig", "P-256.pub", "model.bin", "is not of the file"),
      ("model-by-1.1.sig", "P-256.pub", "folder/model.onnx", "has sha256"),
      ("model-by-1.1.sig", "P-256.pub", nil, "cannot read the artifact"),
    ] {
      let (spy, failure, folder) = try run(signature: signature, key: key, stored: stored)
      XCTAssertEqual(try failure.text("kind"), "digest")
      let message = try failure.text("message")
      XCTAssert(message.contains(reason), message)
      XCTAssertFalse(spy.started)
      XCTAssertFalse(Files.exists("\(folder)/caches"))
    }
  }

  /// Run a job whose store has the file `stored` as the model, after a launch that crashed and left a link there.
  private func run(signature: String?, key: String = "P-256.pub", stored: String? = "model.bin") throws -> (
    SpyAdapter, Fields, String
  ) {
    let folder = try Golden.folder(for: self)
    let store = "\(folder)/phonebench/store"
    try Files.makeFolder(store)
    try Files.makeFolder("\(folder)/kept")
    try Files.makeFolder("\(folder)/caches/left")
    try Files.link("\(folder)/caches/left/link", to: "\(folder)/kept")
    if let stored { try write(Golden.bytes("../signing/\(stored)"), to: "\(store)/\(Self.model)") }
    try File(writing: "\(store)/\(Self.inputs)").write(text: "\0\0\0\0")
    try Files.makeFolder("\(folder)/phonebench/jobs/j")
    let bundle = try signature.map { String(decoding: try Golden.bytes("../signing/\($0)"), as: UTF8.self) } ?? ""
    try File(writing: "\(folder)/phonebench/jobs/j/request.json").write(text: request(bundle))
    let spy = SpyAdapter(stored: "\(store)/\(Self.model)")
    let text = String(decoding: try Golden.bytes("../signing/\(key)"), as: UTF8.self)
    let runner = JobRunner(
      adapters: [spy], info: .init(kind: "test", version: "1", debuggable: false), state: LinuxState(),
      trusted: TrustedKey(text, with: OpenSslKey.init))
    let arguments = try XCTUnwrap(LaunchArguments.read(["--job", "j", "--inputs", Self.inputs]))
    let job = LaunchedJob(arguments, documents: folder, privately: "\(folder)/caches", runner: runner)
    try job.run()
    XCTAssert(Files.exists("\(folder)/kept"))
    let reply = try Json.parse(Files.bytes(of: "\(job.place.folder)/reply.json"))
    return (spy, try Fields(reply).fields("failure"), folder)
  }

  private func write(_ bytes: [UInt8], to path: String) throws {
    let file = try File(writing: path)
    try bytes.withUnsafeBytes { try file.write($0) }
  }

  private func request(_ bundle: String) -> String {
    let quoted = bundle.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    return """
      {"schema": 1, "cell": "c", "launch": 0,
       "artifact": {"file": "model.bin", "sha256": "\(Self.model)", "format": "onnx", "signature": "\(quoted)"},
       "runtime": {"delegate": "cpu", "threads": 1},
       "inputs": {"file": "inputs.bin", "count": 1, "tensors": [{"name": "x", "dtype": "float32", "shape": [1]}]},
       "passes": {}}
      """
  }
}
