#if os(Linux)
  import Core

  /// A public key with which OpenSSL 3 checks signatures, on Linux, where there is no CryptoKit.
  public final class OpenSslKey: SignatureVerifier {
    private typealias GroupName = @convention(c) (
      OpaquePointer, UnsafeMutablePointer<CChar>, Int, UnsafeMutablePointer<Int>
    ) -> Int32
    private typealias Begin = @convention(c) (
      OpaquePointer, UnsafeMutableRawPointer?, OpaquePointer?, OpaquePointer?, OpaquePointer
    ) -> Int32
    private typealias Verify = @convention(c) (
      OpaquePointer, UnsafePointer<UInt8>?, Int, UnsafePointer<UInt8>?, Int
    ) -> Int32

    private static let hashes = ["prime256v1": "EVP_sha256", "secp384r1": "EVP_sha384", "secp521r1": "EVP_sha512"]

    private let crypto: OpenSsl
    private let key: OpaquePointer
    private let hash: String

    /// The key in the bytes of a `SubjectPublicKeyInfo`; nil if they hold no key, one on another curve, or if this
    /// computer has no OpenSSL 3.
    public init?(der: [UInt8]) {
      guard let crypto = OpenSsl() else { return nil }
      self.crypto = crypto
      let read = crypto.function("d2i_PUBKEY", as: OpenSsl.Read.self)
      let free = crypto.function("EVP_PKEY_free", as: OpenSsl.Free.self)
      let name = crypto.function("EVP_PKEY_get_group_name", as: GroupName.self)
      let found = der.withUnsafeBufferPointer { bytes -> OpaquePointer? in
        var at = bytes.baseAddress
        let key = read(nil, &at, bytes.count)
        // Bytes that follow the key would be read by nobody.
        if key != nil, at == bytes.baseAddress.map({ $0 + bytes.count }) { return key }
        free(key)
        return nil
      }
      guard let found else { return nil }
      var text = [CChar](repeating: 0, count: 80)
      var count = 0
      let named = name(found, &text, text.count, &count) == 1
      guard named, let hash = OpenSslKey.hashes[String(decoding: text.prefix(count).map(UInt8.init), as: UTF8.self)]
      else {
        free(found)
        return nil
      }
      (key, self.hash) = (found, hash)
    }

    deinit {
      crypto.function("EVP_PKEY_free", as: OpenSsl.Free.self)(key)
    }

    public func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
      guard let context = crypto.function("EVP_MD_CTX_new", as: OpenSsl.Make.self)() else { return false }
      defer { crypto.function("EVP_MD_CTX_free", as: OpenSsl.Free.self)(context) }
      let begin = crypto.function("EVP_DigestVerifyInit", as: Begin.self)
      let verify = crypto.function("EVP_DigestVerify", as: Verify.self)
      // Only 1 is a signature that fits; other values are one that does not, and errors.
      return begin(context, nil, crypto.function(hash, as: OpenSsl.Make.self)(), nil, key) == 1
        && verify(context, signature, signature.count, message, message.count) == 1
    }
  }
#endif
