#if canImport(CryptoKit)
  import Core
  import CryptoKit
  import Foundation

  /// What CryptoKit does with the keys of files.
  struct CryptoKitCiphers: Ciphers {
    private static let tagBytes = 16

    func hmac(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
      Array(HMAC<SHA256>.authenticationCode(for: message, using: SymmetricKey(data: key)))
    }

    func unwrapped(_ wrapped: [UInt8], with key: [UInt8]) -> [UInt8]? {
      guard let unwrapped = try? AES.KeyWrap.unwrap(wrapped, using: SymmetricKey(data: key)) else { return nil }
      return unwrapped.withUnsafeBytes { Array($0) }
    }

    func opened(_ sealed: UnsafeRawBufferPointer, nonce: [UInt8], key: [UInt8]) -> [UInt8]? {
      let text = sealed.dropLast(CryptoKitCiphers.tagBytes)
      let tag = sealed.suffix(CryptoKitCiphers.tagBytes)
      guard let nonce = try? AES.GCM.Nonce(data: nonce),
        let box = try? AES.GCM.SealedBox(nonce: nonce, ciphertext: Data(text), tag: Data(tag)),
        let plain = try? AES.GCM.open(box, using: SymmetricKey(data: key))
      else { return nil }
      return Array(plain)
    }
  }
#endif
