#if os(Linux)
  import Core

  /// A key pair in a file that only its owner can read, for the desktop program: Linux has no keystore.
  public final class OpenSslKeystore: Keystore {
    private typealias WithKey = @convention(c) (OpaquePointer, OpaquePointer?) -> OpaquePointer?
    private typealias Named = @convention(c) (OpaquePointer?, UnsafePointer<CChar>, UnsafePointer<CChar>?) ->
      OpaquePointer?
    private typealias Begin = @convention(c) (OpaquePointer) -> Int32
    private typealias SetGroup = @convention(c) (OpaquePointer, UnsafePointer<CChar>) -> Int32
    private typealias Generate = @convention(c) (OpaquePointer, UnsafeMutablePointer<OpaquePointer?>) -> Int32
    private typealias Peer = @convention(c) (OpaquePointer, OpaquePointer) -> Int32
    private typealias Derive = @convention(c) (OpaquePointer, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<Int>)
      -> Int32
    private typealias Write = @convention(c) (OpaquePointer, UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) ->
      Int32

    // The start of a SubjectPublicKeyInfo on P-256, which the uncompressed point follows.
    private static let infoHead: [UInt8] = [
      0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
      0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ]

    private let file: String
    private let crypto = OpenSsl()
    private var key: OpaquePointer?

    public init(file: String) {
      self.file = file
    }

    deinit {
      if let key { crypto?.function("EVP_PKEY_free", as: OpenSsl.Free.self)(key) }
    }

    public var ciphers: any Ciphers {
      guard let crypto else { preconditionFailure("there was no public key, so nothing can be for it") }
      return crypto
    }

    public func publicKey() throws -> [UInt8] {
      guard let crypto else { throw KeystoreError("this computer has no OpenSSL 3") }
      let pair = try key ?? (Files.exists(file) ? read(crypto) : made(crypto))
      key = pair
      return written(pair, by: crypto.function("i2d_PUBKEY", as: Write.self))
    }

    public func secret(with point: [UInt8]) -> [UInt8]? {
      guard let crypto, let key, let context = crypto.function("EVP_PKEY_CTX_new", as: WithKey.self)(key, nil) else {
        return nil
      }
      defer { crypto.function("EVP_PKEY_CTX_free", as: OpenSsl.Free.self)(context) }
      let read = crypto.function("d2i_PUBKEY", as: OpenSsl.Read.self)
      guard let peer = parsed(OpenSslKeystore.infoHead + point, by: read) else { return nil }
      defer { crypto.function("EVP_PKEY_free", as: OpenSsl.Free.self)(peer) }
      var secret = [UInt8](repeating: 0, count: 32)
      var count = secret.count
      guard crypto.function("EVP_PKEY_derive_init", as: Begin.self)(context) == 1,
        crypto.function("EVP_PKEY_derive_set_peer", as: Peer.self)(context, peer) == 1,
        crypto.function("EVP_PKEY_derive", as: Derive.self)(context, &secret, &count) == 1, count == secret.count
      else { return nil }
      return secret
    }

    private func read(_ crypto: OpenSsl) throws -> OpaquePointer {
      let read = crypto.function("d2i_AutoPrivateKey", as: OpenSsl.Read.self)
      guard let bytes = try? Files.bytes(of: file), let pair = parsed(bytes, by: read) else {
        throw KeystoreError("the file '\(file)' cannot be read, or holds no key: remove it, and a new one is made")
      }
      return pair
    }

    private func made(_ crypto: OpenSsl) throws -> OpaquePointer {
      let named = crypto.function("EVP_PKEY_CTX_new_from_name", as: Named.self)
      guard let context = named(nil, "EC", nil) else { throw KeystoreError("OpenSSL knows no elliptic curves") }
      defer { crypto.function("EVP_PKEY_CTX_free", as: OpenSsl.Free.self)(context) }
      var made: OpaquePointer?
      guard crypto.function("EVP_PKEY_keygen_init", as: Begin.self)(context) == 1,
        crypto.function("EVP_PKEY_CTX_set_group_name", as: SetGroup.self)(context, "P-256") == 1,
        crypto.function("EVP_PKEY_generate", as: Generate.self)(context, &made) == 1, let pair = made
      else { throw KeystoreError("OpenSSL could not make a key of the curve P-256") }
      do {
        let bytes = written(pair, by: crypto.function("i2d_PrivateKey", as: Write.self))
        try bytes.withUnsafeBytes { try File(writing: file, mode: 0o600).write($0) }
      } catch {
        throw KeystoreError("the new key cannot be stored: \(error)")
      }
      return pair
    }

    private func parsed(_ bytes: [UInt8], by read: OpenSsl.Read) -> OpaquePointer? {
      bytes.withUnsafeBufferPointer { bytes in
        var at = bytes.baseAddress
        return read(nil, &at, bytes.count)
      }
    }

    private func written(_ key: OpaquePointer, by write: Write) -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: Int(write(key, nil)))
      bytes.withUnsafeMutableBufferPointer { bytes in
        var at = bytes.baseAddress
        _ = write(key, &at)
      }
      return bytes
    }
  }
#endif
