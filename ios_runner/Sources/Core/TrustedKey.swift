/// Checks signatures with one public key: CryptoKit on Apple's systems, OpenSSL on Linux.
public protocol SignatureVerifier {
  /// Whether `signature`, an ECDSA signature in DER form, is of `message`. The hash goes with the curve: SHA-256 for
  /// P-256, SHA-384 for P-384, SHA-512 for P-521.
  func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool
}

/// The public key that must have signed every artifact, if this app was built with one.
///
/// A signature is a Sigstore bundle: a DSSE envelope (github.com/secure-systems-lab/dsse, version 1) around an in-toto
/// statement with the SHA-256 of every file. A computer that is not the owner's can send files and start the app, but
/// it cannot make such a bundle for a file of its own.
public struct TrustedKey {
  /// The name of the key in the Info.plist of an app.
  public static let infoKey = "PhonebenchTrustedKey"
  private static let payloadType = "application/vnd.in-toto+json"

  // Without one the key cannot be read, so nothing is trusted.
  private let verifier: (any SignatureVerifier)?

  /// The key in `text`: a `SubjectPublicKeyInfo` in Base64, with or without the first and last line of a PEM file.
  /// `make` returns nil for bytes that are no key on P-256, P-384 or P-521.
  public init(_ text: String, with make: ([UInt8]) -> (any SignatureVerifier)?) {
    let body = text.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("-----") }.joined()
    verifier = Base64.decoded(body.filter { !$0.isWhitespace }.utf8).flatMap(make)
  }

  /// Throw a failure `digest` unless the artifact's signature is by this key and names all of its files.
  func check(_ artifact: RunRequest.Artifact) throws {
    guard let verifier else {
      throw RunFailure.failed(.digest, "the public key in this runner app cannot be read: build the app again")
    }
    guard !artifact.signature.isEmpty else {
      throw RunFailure.failed(
        .digest,
        "the artifact '\(artifact.file)' has no signature, and this runner app runs only what its key has signed: "
          + "sign it, or install an app without a key")
    }
    let signed = try digests(artifact, verifier)
    if let other = artifact.parts.first(where: { !signed.contains($0.sha256) }) {
      throw RunFailure.failed(
        .digest,
        "the signature is not of the file '\(other.file)' with the sha256 \(other.sha256): sign this file")
    }
  }

  /// The digests in the statement, once its signature has been verified.
  private func digests(_ artifact: RunRequest.Artifact, _ verifier: any SignatureVerifier) throws -> Set<String> {
    do {
      let envelope = try Fields(Json.parse(Array(artifact.signature.utf8))).fields("dsseEnvelope")
      let signatures = try envelope.list("signatures")
      let payload = try envelope.bytes("payload")
      guard signatures.count == 1, try envelope.text("payloadType") == TrustedKey.payloadType else {
        throw RunFailure.failed(
          .digest, "the signature of '\(artifact.file)' is of another kind: sign the file again")
      }
      guard verifier.verifies(try signatures[0].bytes("sig"), of: TrustedKey.encoded(payload)) else {
        throw RunFailure.failed(
          .digest,
          "the signature of '\(artifact.file)' is not by the key in this runner app: sign it with the right key, or "
            + "install an app with the other one")
      }
      return try TrustedKey.named(payload)
    } catch let error as RequestError {
      throw RunFailure.failed(
        .digest, "the signature of '\(artifact.file)' cannot be read: sign the file again", detail: error.description)
    }
  }

  /// What is signed: DSSE's encoding, which also covers the type of the payload and the lengths.
  private static func encoded(_ payload: [UInt8]) -> [UInt8] {
    Array("DSSEv1 \(payloadType.utf8.count) \(payloadType) \(payload.count) ".utf8) + payload
  }

  private static func named(_ statement: [UInt8]) throws -> Set<String> {
    let resources = try Fields(Json.parse(statement)).fields("predicate").list("resources")
    return try Set(resources.filter { try $0.text("algorithm") == "sha256" }.map { try $0.text("digest") })
  }
}
