import Adapters
import XCTest

@testable import Core

/// Signatures made by another program, in tests/golden/signing, as the tests of the Android runner read them.
final class TrustedKeyTests: XCTestCase {
  private static let model = "1706adee00751036563a808eb4375501f6e5bcefb3c7b32bbdfd416a48d43f94"
  private static let onnx = "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806"
  private static let weights = "1b465fa6b6bcbc06a3199e3d2d8aec35d37494a712f888b6d5536684dd89d0f0"

  func testAFileThatTheKeyHasSignedIsAccepted() throws {
    try key("P-256.pub").check(artifact(Self.model, text("model-by-1.1.sig")))
    try key("P-384.pub").check(artifact(Self.model, text("model-by-P-384.sig")))
  }

  /// As the build writes it into Info.plist: one line, without the lines around it.
  func testAKeyWithoutTheLinesOfAPemFileIsTheSame() throws {
    let body = try text("P-256.pub").split(separator: "\n").dropFirst().dropLast().joined()
    try TrustedKey(body, with: OpenSslKey.init).check(artifact(Self.model, text("model-by-1.1.sig")))
  }

  func testAllFilesOfAnArtifactMustBeSigned() throws {
    let signature = try text("folder.sig")
    try key("P-256.pub").check(artifact(Self.onnx, signature, companion: Self.weights))
    let message = try refused("P-256.pub", artifact(Self.onnx, signature, companion: Self.model))
    XCTAssert(message.contains("not of the file 'model.onnx.data'"), message)
  }

  func testASignatureByAnotherKeyIsRefused() throws {
    let message = try refused("P-384.pub", artifact(Self.model, text("model-by-1.1.sig")))
    XCTAssert(message.contains("not by the key in this runner app"), message)
  }

  func testASignatureOfAnotherFileIsRefused() throws {
    let message = try refused("P-256.pub", artifact(Self.onnx, text("model-by-1.1.sig")))
    XCTAssert(message.contains("not of the file 'model.bin'"), message)
  }

  func testAStatementThatWasChangedAfterItWasSignedIsRefused() throws {
    // One letter of the payload, which is Base64, at places all over it.
    let signature = try text("model-by-1.1.sig")
    let payload = try Fields(Json.parse(Array(signature.utf8))).fields("dsseEnvelope").text("payload")
    for at in stride(from: 4, to: payload.count - 4, by: 97) {
      var letters = Array(payload.utf8)
      letters[at] = letters[at] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
      let forged = signature.replacing(payload, with: String(decoding: letters, as: UTF8.self))
      XCTAssertNotEqual(forged, signature)
      let message = try refused("P-256.pub", artifact(Self.model, forged))
      XCTAssert(message.contains("not by the key"), message)
    }
  }

  func testWhatIsNoBundleIsRefused() throws {
    for (signature, reason) in [("", "no signature"), ("{}", "cannot be read"), ("not JSON", "cannot be read")] {
      let message = try refused("P-256.pub", artifact(Self.model, signature))
      XCTAssert(message.contains(reason), message)
    }
  }

  func testABundleOfAnotherKindIsRefused() throws {
    let inToto = "application/vnd.in-toto+json"
    for (payload, type, count, reason) in [
      ("%%%", inToto, 1, "cannot be read"), ("e30=", "text/plain", 1, "another kind"),
      ("e30=", inToto, 0, "another kind"), ("e30=", inToto, 2, "another kind"), ("e30=", inToto, 1, "not by the key"),
    ] {
      let signatures = [String](repeating: #"{"sig": "AA=="}"#, count: count).joined(separator: ", ")
      let bundle =
        #"{"dsseEnvelope": {"payload": "\#(payload)", "payloadType": "\#(type)", "signatures": [\#(signatures)]}}"#
      let message = try refused("P-256.pub", artifact(Self.model, bundle))
      XCTAssert(message.contains(reason), message)
    }
  }

  func testAKeyThatIsNoneTrustsNothing() throws {
    // Of RSA, and on the curve secp256k1.
    let rsa =
      "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCjlVKU4tzaaw01aDl1pge2M5uqw7MObXc2g3md63AlZkCTogi6Ec"
      + "a7mUJB9GFDYstzluF6DEsSEO5WQtvpA7FzudOnJF91e65ohkCQxAmzYHFh8Hwqto4n2KPUcbXDRWjdtlK6kq2LBRF9"
      + "O0Rv9GpFTbj6XF6WYC2KeS4S/BWoqwIDAQAB"
    let otherCurve =
      "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEzLJDGH3dmhd27cys7kkGmYN+iX9fzaHMFIdO8sHoE0nleGyR0qoUS8n47W"
      + "QPGHmdDJCu0mHFnstcWlLtSQH3EA=="
    for text in ["", "no key", "AAAA", rsa, otherCurve] {
      XCTAssertThrowsError(
        try TrustedKey(text, with: OpenSslKey.init).check(artifact(Self.model, self.text("model-by-1.1.sig")))
      ) { error in
        XCTAssert("\(error)".contains("the public key in this runner app cannot be read"), "\(error)")
      }
    }
  }

  /// The examples of RFC 4648, section 10, and what is none.
  func testBase64IsThatOfTheStandard() {
    let examples = [
      ("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob"), ("Zm9vYmE=", "fooba"),
      ("Zm9vYmFy", "foobar"),
    ]
    for (text, bytes) in examples { XCTAssertEqual(Base64.decoded(text.utf8), Array(bytes.utf8), text) }
    XCTAssertEqual(Base64.decoded("+/+/".utf8), [0xfb, 0xff, 0xbf])
    for text in ["Zg=", "Zg", "Z===", "====", "Zg==Zg==", "Zm9v ", "Z-9v", "=m9v"] {
      XCTAssertNil(Base64.decoded(text.utf8), text)
    }
  }

  private func text(_ name: String) throws -> String {
    String(decoding: try Golden.bytes("../signing/\(name)"), as: UTF8.self)
  }

  private func key(_ name: String) throws -> TrustedKey {
    TrustedKey(try text(name), with: OpenSslKey.init)
  }

  private func artifact(_ sha256: String, _ signature: String, companion: String? = nil) -> RunRequest.Artifact {
    let companions = companion.map { [RunRequest.Part(file: "model.onnx.data", sha256: $0)] } ?? []
    return RunRequest.Artifact(
      file: "model.bin", sha256: sha256, format: "onnx", companions: companions, signature: signature)
  }

  /// The message of the failure `digest`.
  private func refused(_ key: String, _ artifact: RunRequest.Artifact) throws -> String {
    var message = ""
    XCTAssertThrowsError(try self.key(key).check(artifact)) { error in
      guard let failure = error as? RunFailure else { return XCTFail("\(error)") }
      XCTAssertEqual(failure.kind, .digest)
      message = failure.message
    }
    return message
  }
}
