/// The key pair of this app on this phone, for which hosts wrap the keys of files (ECDH-ES+A256KW in docs/wire.md).
struct RecipientKey {
  static let algorithm = "ECDH-ES+A256KW"
  private static let pointBytes = 65
  private static let keyBytes = 32

  let publicKey: [UInt8]
  private let keystore: any Keystore

  /// Throws a failure `digest`, unsupported, if the keystore has no key.
  init(_ keystore: any Keystore) throws {
    do {
      publicKey = try keystore.publicKey()
      self.keystore = keystore
    } catch let error as KeystoreError {
      throw RunFailure.unsupported(
        .digest, "this phone's keystore cannot make or read a key: \(RunFailure.firstLine(error.reason))",
        detail: error.reason)
    }
  }

  var ciphers: any Ciphers { keystore.ciphers }

  /// The digest by which a request names the key.
  var id: String {
    var digest = Digest.of(publicKey)
    return digest.text()
  }

  /// What a reply says of it.
  var described: RunReply.EncryptionKey {
    RunReply.EncryptionKey(algorithm: RecipientKey.algorithm, publicKey: Base64.encoded(publicKey))
  }

  /// The key of a file: a point of the host's, and the key wrapped with what both sides derive from it. Nil if it is
  /// damaged, or not for this key.
  func unwrapped(_ wrapped: [UInt8]) -> [UInt8]? {
    guard wrapped.count > RecipientKey.pointBytes,
      let secret = keystore.secret(with: Array(wrapped[..<RecipientKey.pointBytes]))
    else { return nil }
    let key = keystore.ciphers.unwrapped(
      Array(wrapped[RecipientKey.pointBytes...]), with: RecipientKey.wrappingKey(secret))
    return key?.count == RecipientKey.keyBytes ? key : nil
  }

  /// The Concat KDF of RFC 7518, section 4.6: one round, because the key is as long as the hash.
  private static func wrappingKey(_ secret: [UInt8]) -> [UInt8] {
    let name = Array(algorithm.utf8)
    // The algorithm after its length, two parties without information, and the length of the key in bits.
    let info = word(UInt32(name.count)) + name + word(0) + word(0) + word(UInt32(8 * keyBytes))
    var digest = Digest.of(word(1) + secret + info)
    return digest.bytes()
  }

  private static func word(_ value: UInt32) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
  }
}
