#if canImport(CryptoKit)
  import Core
  import CryptoKit
  import Foundation

  /// A public key with which CryptoKit checks signatures.
  public struct CryptoKitKey: SignatureVerifier {
    private enum Key {
      case p256(P256.Signing.PublicKey)
      case p384(P384.Signing.PublicKey)
      case p521(P521.Signing.PublicKey)
    }

    private let key: Key

    /// The key in the bytes of a `SubjectPublicKeyInfo`; nil if they hold no key, or one on another curve.
    public init?(der: [UInt8]) {
      if let key = try? P256.Signing.PublicKey(derRepresentation: der) {
        self.key = .p256(key)
      } else if let key = try? P384.Signing.PublicKey(derRepresentation: der) {
        self.key = .p384(key)
      } else if let key = try? P521.Signing.PublicKey(derRepresentation: der) {
        self.key = .p521(key)
      } else {
        return nil
      }
    }

    /// CryptoKit hashes the message with the hash that goes with the curve. Bytes that are not a signature do not
    /// verify.
    public func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
      switch key {
      case .p256(let key):
        (try? P256.Signing.ECDSASignature(derRepresentation: signature))
          .map { key.isValidSignature($0, for: message) } ?? false
      case .p384(let key):
        (try? P384.Signing.ECDSASignature(derRepresentation: signature))
          .map { key.isValidSignature($0, for: message) } ?? false
      case .p521(let key):
        (try? P521.Signing.ECDSASignature(derRepresentation: signature))
          .map { key.isValidSignature($0, for: message) } ?? false
      }
    }
  }
#endif
