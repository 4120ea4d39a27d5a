#if os(Linux)
  import Core
  import Glibc

  /// OpenSSL 3, which Linux has in place of CryptoKit. Only the desktop program uses it.
  struct OpenSsl: Ciphers {
    typealias Free = @convention(c) (OpaquePointer?) -> Void
    typealias Make = @convention(c) () -> OpaquePointer?
    typealias Read = @convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<UnsafePointer<UInt8>?>, Int) ->
      OpaquePointer?
    private typealias Hmac = @convention(c) (
      OpaquePointer?, UnsafePointer<UInt8>, Int32, UnsafePointer<UInt8>, Int, UnsafeMutablePointer<UInt8>,
      UnsafeMutablePointer<UInt32>
    ) -> UnsafeMutablePointer<UInt8>?
    private typealias Flags = @convention(c) (OpaquePointer, Int32) -> Void
    private typealias Begin = @convention(c) (
      OpaquePointer, OpaquePointer?, OpaquePointer?, UnsafePointer<UInt8>, UnsafePointer<UInt8>?
    ) -> Int32
    private typealias Update = @convention(c) (
      OpaquePointer, UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<Int32>, UnsafeRawPointer?, Int32
    ) -> Int32
    private typealias Control = @convention(c) (OpaquePointer, Int32, Int32, UnsafeMutableRawPointer?) -> Int32
    private typealias Finish = @convention(c) (
      OpaquePointer, UnsafeMutablePointer<UInt8>, UnsafeMutablePointer<Int32>
    ) -> Int32

    // EVP_CIPHER_CTX_FLAG_WRAP_ALLOW and EVP_CTRL_AEAD_SET_TAG.
    private static let allowsWrap: Int32 = 1
    private static let setsTag: Int32 = 0x11
    private static let tagBytes = 16

    private let library: NativeLibrary

    /// Nil if this computer has no OpenSSL 3.
    init?() {
      guard let handle = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL) else { return nil }
      library = NativeLibrary(handle: handle, title: "OpenSSL")
    }

    /// The function `name`, which every OpenSSL 3 has.
    func function<Function>(_ name: String, as type: Function.Type) -> Function {
      guard let function = library.functionIfPresent(name, as: type) else {
        preconditionFailure("OpenSSL has no function \(name)")
      }
      return function
    }

    func hmac(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
      var result = [UInt8](repeating: 0, count: 32)
      var count: UInt32 = 0
      let hash = function("EVP_sha256", as: Make.self)()
      let done = function("HMAC", as: Hmac.self)(hash, key, Int32(key.count), message, message.count, &result, &count)
      precondition(done != nil && count == 32, "HMAC has no reason to fail")
      return result
    }

    func unwrapped(_ wrapped: [UInt8], with key: [UInt8]) -> [UInt8]? {
      decrypted("EVP_aes_256_wrap", wrapped.count) { context, cipher, plain in
        function("EVP_CIPHER_CTX_set_flags", as: Flags.self)(context, OpenSsl.allowsWrap)
        var count: Int32 = 0
        guard function("EVP_DecryptInit_ex", as: Begin.self)(context, cipher, nil, key, nil) == 1,
          function("EVP_DecryptUpdate", as: Update.self)(context, plain, &count, wrapped, Int32(wrapped.count)) == 1
        else { return nil }
        return Int(count)
      }
    }

    func opened(_ sealed: UnsafeRawBufferPointer, nonce: [UInt8], key: [UInt8]) -> [UInt8]? {
      let size = sealed.count - OpenSsl.tagBytes
      return decrypted("EVP_aes_256_gcm", size) { context, cipher, plain in
        let tag = UnsafeMutableRawPointer(mutating: sealed.baseAddress! + size)
        var (count, rest): (Int32, Int32) = (0, 0)
        guard function("EVP_DecryptInit_ex", as: Begin.self)(context, cipher, nil, key, nonce) == 1,
          function("EVP_DecryptUpdate", as: Update.self)(context, plain, &count, sealed.baseAddress, Int32(size)) == 1,
          function("EVP_CIPHER_CTX_ctrl", as: Control.self)(
            context, OpenSsl.setsTag, Int32(OpenSsl.tagBytes), tag) == 1,
          function("EVP_DecryptFinal_ex", as: Finish.self)(context, plain + Int(count), &rest) == 1
        else { return nil }
        return Int(count + rest)
      }
    }

    /// What `body` decrypts into a buffer for `size` bytes; it returns how many there are.
    private func decrypted(
      _ cipher: String, _ size: Int, _ body: (OpaquePointer, OpaquePointer?, UnsafeMutablePointer<UInt8>) -> Int?
    ) -> [UInt8]? {
      guard let context = function("EVP_CIPHER_CTX_new", as: Make.self)() else { return nil }
      defer { function("EVP_CIPHER_CTX_free", as: Free.self)(context) }
      var plain = [UInt8](repeating: 0, count: size + 32)
      let count = plain.withUnsafeMutableBufferPointer { plain in
        body(context, function(cipher, as: Make.self)(), plain.baseAddress!)
      }
      return count.map { Array(plain.prefix($0)) }
    }
  }
#endif
