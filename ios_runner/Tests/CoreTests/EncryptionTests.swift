import Adapters
import XCTest

@testable import Core

/// Files that Tink encrypted and keys that OpenSSL wrapped, in tests/golden/encryption.
final class EncryptionTests: XCTestCase {
  private static let plain = "model.bin"
  private static let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

  func testTheKeyOfAFileIsUnwrapped() throws {
    let (key, facts) = try recipient()
    XCTAssertEqual(key.id, try facts.text("recipient"))
    XCTAssertEqual(
      key.described, .init(algorithm: "ECDH-ES+A256KW", publicKey: try facts.text("public_key")))
    let wrapped = try facts.bytes("wrapped_key")
    XCTAssertEqual(key.unwrapped(wrapped), try fileKey())
    // Another point, another key, and too few bytes.
    for at in [0, 1, 64, 65, 104] {
      var damaged = wrapped
      damaged[at] ^= 1
      XCTAssertNil(key.unwrapped(damaged), "\(at)")
    }
    for count in [0, 64, 65, 97, 104] { XCTAssertNil(key.unwrapped(Array(wrapped.prefix(count))), "\(count)") }
    XCTAssertNil(key.unwrapped(wrapped + [0]))
  }

  func testFilesOfTinkAreDecrypted() throws {
    let model = try golden(Self.plain)
    XCTAssertEqual(try decrypted(golden("model.bin.1mb"), digest(model)), model)
    XCTAssertEqual(try decrypted(golden("model.bin.4kb"), digest(model), segmentBytes: 4096), model)
    XCTAssertEqual(try decrypted(golden("empty.1mb"), Self.empty), [])
  }

  func testAFileThatWasChangedCutExtendedOrReorderedIsRefused() throws {
    let (file, sha256) = (try golden("model.bin.4kb"), digest(try golden(Self.plain)))
    var wrong: [[UInt8]] = [0, 1, 33, 40, 4095, 4096, 9000, file.count - 1].map { at in
      var changed = file
      changed[at] ^= 1
      return changed
    }
    wrong += [0, 39, 40, 55, 56, 4096, 8192, file.count - 1].map { Array(file.prefix($0)) }
    wrong.append(file + [0])
    wrong.append(file + [UInt8](repeating: 0, count: 16))
    wrong.append(Array(file[..<4096] + file[8192...] + file[4096..<8192]))
    for (at, bytes) in wrong.enumerated() {
      XCTAssertThrowsError(try decrypted(bytes, sha256, segmentBytes: 4096), "\(at)") { error in
        XCTAssert(error is StreamDecryption.Damaged, "\(error)")
      }
    }
    // For another file, and with another key.
    XCTAssertThrowsError(try decrypted(file, Self.empty, segmentBytes: 4096))
    XCTAssertThrowsError(try decrypted(file, sha256, segmentBytes: 4096, key: [UInt8](repeating: 1, count: 32)))
  }

  func testAnEncryptedJobHasItsFilesInTheClearOnlyForTheLoad() throws {
    let job = try EncryptedJob(self)
    let (spy, reply) = try job.run()
    XCTAssertEqual(try reply.fields("failure").text("message"), "the spy has seen enough")
    XCTAssertEqual(spy.loaded, try golden(Self.plain))
    XCTAssertEqual(spy.path, "\(job.caches)/model.bin")
    XCTAssertFalse(Files.exists(job.caches))
    let key = try reply.fields("encryption_key")
    XCTAssertEqual(try key.text("public_key"), try recipient().1.text("public_key"))
    XCTAssertEqual(try key.text("algorithm"), "ECDH-ES+A256KW")
  }

  func testWhatCannotBeDecryptedStartsNoRuntimeAndLeavesNothing() throws {
    let other = String(repeating: "0", count: 64)
    let changes: [(EncryptedJob) throws -> Void] = [
      { $0.recipient = "" }, { $0.recipient = other }, { $0.wrapped[70] ^= 1 },
      { try File(writing: "\($0.store)/\($0.stored)").write(text: "not it") },
      { Files.remove("\($0.store)/\($0.stored)") },
      // The right file under a digest that the request does not expect: the digest is what was encrypted for.
      { $0.sha256 = Self.empty },
    ]
    let reasons = [
      "is not encrypted for the key of this phone", "is not encrypted for the key of this phone",
      "the key of the encrypted artifact 'model.bin' is damaged", "the encrypted artifact 'model.bin' is damaged",
      "cannot read the artifact 'model.bin'", "the encrypted artifact 'model.bin' is damaged",
    ]
    for (change, reason) in zip(changes, reasons) {
      let job = try EncryptedJob(self)
      try change(job)
      let (spy, reply) = try job.run()
      let failure = try reply.fields("failure")
      XCTAssertEqual(try failure.text("kind"), "digest")
      let message = try failure.text("message")
      XCTAssert(message.contains(reason), message)
      XCTAssertFalse(spy.started)
      XCTAssertFalse(Files.exists(job.caches))
      // From it the host learns for which key to wrap.
      XCTAssertEqual(try reply.fields("encryption_key").text("algorithm"), "ECDH-ES+A256KW")
    }
  }

  /// A runtime may crash while it is profiled, and then what was kept before is the reply.
  func testOnlyTheLastReplyOfALaunchStatesTheKey() throws {
    let job = try EncryptedJob(self)
    job.passes = #"{"profile": {"calls": 1}}"#
    let adapter = ProfiledAdapter()
    let reply = try job.run(adapter)
    XCTAssertEqual(try reply.text("status"), "ok")
    XCTAssertEqual(try reply.fields("encryption_key").text("algorithm"), "ECDH-ES+A256KW")
    XCTAssertTrue(adapter.hadFile)
    let kept = try Fields(Json.parse(adapter.kept))
    XCTAssertEqual(try kept.text("status"), "ok")
    XCTAssert(kept.lacks("encryption_key"))
  }

  func testAPhoneWithoutAKeystoreSaysSo() throws {
    let job = try EncryptedJob(self)
    try File(writing: job.keystore).write(text: "no key")
    for keystore in [nil, OpenSslKeystore(file: job.keystore)] {
      let (spy, reply) = try job.run(keystore: keystore)
      XCTAssertEqual(try reply.text("status"), "unsupported")
      XCTAssertEqual(try reply.fields("failure").text("kind"), "digest")
      XCTAssert(reply.lacks("encryption_key"))
      XCTAssertFalse(spy.started)
    }
  }

  func testAKeyIsMadeOnceAndKept() throws {
    let file = "\(try Golden.folder(for: self))/key"
    let first = try OpenSslKeystore(file: file).publicKey()
    XCTAssertEqual(try OpenSslKeystore(file: file).publicKey(), first)
    XCTAssertEqual(first.count, 91)
  }

  func testBase64IsWrittenAsTheStandardSays() {
    for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
      XCTAssertEqual(Base64.encoded(Array(bytes.utf8)), text)
    }
    XCTAssertEqual(Base64.encoded([0xfb, 0xff, 0xbf]), "+/+/")
  }

  private func recipient() throws -> (RecipientKey, Fields) {
    let folder = try Golden.folder(for: self)
    try EncryptedJob.writeKey(to: "\(folder)/key")
    return (try RecipientKey(OpenSslKeystore(file: "\(folder)/key")), try EncryptedJob.facts())
  }

  private func fileKey() throws -> [UInt8] {
    try Fields(Json.parse(golden("keys.json"))).bytes("file_key")
  }

  private func golden(_ name: String) throws -> [UInt8] {
    try Golden.bytes("../encryption/\(name)")
  }

  private func digest(_ bytes: [UInt8]) -> String {
    var digest = Digest.of(bytes)
    return digest.text()
  }

  private func decrypted(
    _ bytes: [UInt8], _ sha256: String, segmentBytes: Int = 1 << 20, key: [UInt8]? = nil
  ) throws -> [UInt8] {
    let (recipient, _) = try recipient()
    let path = "\(try Golden.folder(for: self))/file"
    try bytes.withUnsafeBytes { try File(writing: path).write($0) }
    let stream = StreamDecryption(
      recipient.ciphers, key: try key ?? fileKey(), sha256: sha256, segmentBytes: segmentBytes)
    var plain: [UInt8] = []
    try stream.decrypt(path) { plain += $0 }
    return plain
  }
}

/// A job whose artifact the store has encrypted for the key in tests/golden/encryption, after a launch that crashed.
private final class EncryptedJob {
  private static let inputs = "df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119"

  let documents: String
  let caches: String
  let keystore: String
  let store: String
  let stored: String
  var recipient: String
  var wrapped: [UInt8]
  var sha256: String
  var passes = "{}"
  private var launches = 0
  private var temporary: String { "\(documents)/tmp" }
  private var folder: String { "\(documents)/phonebench/jobs/j\(launches)" }

  init(_ test: XCTestCase) throws {
    documents = try Golden.folder(for: test)
    caches = "\(documents)/caches"
    keystore = "\(documents)/key"
    store = "\(documents)/phonebench/store"
    try Self.writeKey(to: keystore)
    recipient = try Self.facts().text("recipient")
    wrapped = try Self.facts().bytes("wrapped_key")
    var digest = Digest.of(try Golden.bytes("../encryption/model.bin"))
    sha256 = digest.text()
    let encrypted = try Golden.bytes("../encryption/model.bin.1mb")
    digest = Digest.of(encrypted)
    stored = digest.text()
    try Files.makeFolder(store)
    try encrypted.withUnsafeBytes { try File(writing: "\(store)/\(stored)").write($0) }
    try File(writing: "\(store)/\(Self.inputs)").write(text: "\0\0\0\0")
  }

  /// The facts of the key on P-256.
  static func facts() throws -> Fields {
    let all = try Fields(Json.parse(Golden.bytes("../encryption/keys.json"))).list("recipients")
    return try XCTUnwrap(all.first { try $0.text("algorithm") == RecipientKey.algorithm })
  }

  /// Write the private key as the keystore of the desktop program has it.
  static func writeKey(to path: String) throws {
    let lines = try String(decoding: Golden.bytes("../encryption/p256.pem"), as: UTF8.self).split(separator: "\n")
    let key = try XCTUnwrap(Base64.decoded(lines.dropFirst().dropLast().joined().utf8))
    try key.withUnsafeBytes { try File(writing: path).write($0) }
  }

  func run() throws -> (SpyAdapter, Fields) { try run(keystore: OpenSslKeystore(file: keystore)) }

  func run(keystore: (any Keystore)?) throws -> (SpyAdapter, Fields) {
    let spy = SpyAdapter(stored: "\(store)/other")
    return (spy, try run(spy, keystore))
  }

  func run(_ adapter: ProfiledAdapter) throws -> Fields {
    adapter.reply = "\(documents)/phonebench/jobs/j\(launches + 1)/reply.json"
    return try run(adapter, OpenSslKeystore(file: keystore))
  }

  private func run(_ adapter: any RuntimeAdapter, _ keystore: (any Keystore)?) throws -> Fields {
    launches += 1
    for place in [caches, temporary] {
      try Files.makeFolder("\(place)/model.mlmodelc")
      try File(writing: "\(place)/model.mlmodelc/left").write(text: "in the clear")
    }
    try Files.makeFolder(folder)
    try File(writing: "\(folder)/request.json").write(text: request)
    let runner = JobRunner(
      adapters: [adapter], info: .init(kind: "test", version: "1", debuggable: false), state: LinuxState(),
      keystore: keystore)
    let arguments = try XCTUnwrap(LaunchArguments.read(["--job", "j\(launches)", "--inputs", Self.inputs]))
    let job = LaunchedJob(
      arguments, documents: documents, privately: caches, temporary: temporary, runner: runner)
    try job.run()
    XCTAssertEqual(Files.names(in: temporary), [])
    return try Fields(Json.parse(Files.bytes(of: "\(folder)/reply.json")))
  }

  private var request: String {
    let files = #"{"sha256": "\#(stored)", "key": "\#(Base64.encoded(wrapped))"}"#
    return """
      {"schema": 1, "cell": "c", "launch": 0,
       "artifact": {"file": "model.bin", "sha256": "\(sha256)", "format": "onnx",
                    "encryption": {"recipient": "\(recipient)", "files": [\(recipient.isEmpty ? "" : files)]}},
       "runtime": {"delegate": "cpu", "threads": 1},
       "inputs": {"file": "inputs.bin", "count": 1, "tensors": [{"name": "x", "dtype": "float32", "shape": [1]}]},
       "passes": \(passes)}
      """
  }
}

/// A runtime that has a profiler, and notes which reply is there when that starts.
private final class ProfiledAdapter: RuntimeAdapter {
  let format = "onnx"
  var reply = ""
  private(set) var kept: [UInt8] = []
  private(set) var hadFile = false

  func start(_ request: RunRequest.Runtime) throws {}

  func load(_ path: String, _ request: RunRequest.Runtime) throws -> any Session { IdleSession(request) }

  func profile(
    _ path: String, _ request: RunRequest.Runtime, _ inputs: [Tensor], calls: Int, scratch: String
  ) throws -> Profiled {
    kept = try Files.bytes(of: reply)
    hadFile = Files.exists(path)
    return Profiled(operators: [], facts: RunReply.ProfileFacts(source: format))
  }
}

/// A model that does nothing.
private final class IdleSession: Session {
  let inputs: [TensorSpec]? = nil
  let report: RunReply.Runtime

  init(_ request: RunRequest.Runtime) { report = RunReply.Runtime(name: "idle", version: "1", request: request) }

  func setInputs(_ tensors: [Tensor]) throws {}
  func invoke() throws {}
  func outputs() throws -> [Tensor] { [] }
  func close() {}
}
