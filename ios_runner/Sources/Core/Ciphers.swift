/// What encryption needs of the system's own cryptography: CryptoKit on Apple's systems, OpenSSL on Linux.
public protocol Ciphers {
  /// HMAC (RFC 2104) with SHA-256.
  func hmac(_ message: [UInt8], key: [UInt8]) -> [UInt8]

  /// The key that was wrapped with AES (RFC 3394); nil if it does not verify.
  func unwrapped(_ wrapped: [UInt8], with key: [UInt8]) -> [UInt8]?

  /// The text of AES-GCM whose tag of 16 bytes follows it, without additional data; nil if it does not verify.
  func opened(_ sealed: UnsafeRawBufferPointer, nonce: [UInt8], key: [UInt8]) -> [UInt8]?
}

/// Where the key pair of this app on this phone is, on the curve P-256. No other program can read the private key.
public protocol Keystore {
  var ciphers: any Ciphers { get }

  /// The DER form of the public key's `SubjectPublicKeyInfo`. Makes the pair if there is none. Throws `KeystoreError`.
  func publicKey() throws -> [UInt8]

  /// The secret (ECDH) that the private key shares with an uncompressed point of 65 bytes; nil if it is no point.
  func secret(with point: [UInt8]) -> [UInt8]?
}

/// A keystore that cannot make or read its key.
public struct KeystoreError: Error {
  let reason: String

  public init(_ reason: String) {
    self.reason = reason
  }
}

extension Ciphers {
  /// HKDF with SHA-256 (RFC 5869), 32 bytes long: one round of its second step.
  func derived(_ key: [UInt8], salt: [UInt8], info: [UInt8]) -> [UInt8] {
    hmac(info + [1], key: hmac(key, key: salt))
  }
}
