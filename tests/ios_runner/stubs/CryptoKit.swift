// What the runner uses of Apple's CryptoKit (iOS 14), declared by ourselves so that its types can be checked without
// Apple's SDK. It follows Apple's documentation: no header and no crate describes a module that is written in Swift.
import Foundation

public enum P256 {
  public enum Signing {
    public struct PublicKey: Sendable {
      public init<Bytes: RandomAccessCollection>(derRepresentation: Bytes) throws where Bytes.Element == UInt8 {}
      public func isValidSignature<D: DataProtocol>(_ signature: ECDSASignature, for data: D) -> Bool { false }
    }

    public struct ECDSASignature: Sendable {
      public init<D: DataProtocol>(derRepresentation: D) throws {}
    }
  }
}

public enum P384 {
  public enum Signing {
    public struct PublicKey: Sendable {
      public init<Bytes: RandomAccessCollection>(derRepresentation: Bytes) throws where Bytes.Element == UInt8 {}
      public func isValidSignature<D: DataProtocol>(_ signature: ECDSASignature, for data: D) -> Bool { false }
    }

    public struct ECDSASignature: Sendable {
      public init<D: DataProtocol>(derRepresentation: D) throws {}
    }
  }
}

public enum P521 {
  public enum Signing {
    public struct PublicKey: Sendable {
      public init<Bytes: RandomAccessCollection>(derRepresentation: Bytes) throws where Bytes.Element == UInt8 {}
      public func isValidSignature<D: DataProtocol>(_ signature: ECDSASignature, for data: D) -> Bool { false }
    }

    public struct ECDSASignature: Sendable {
      public init<D: DataProtocol>(derRepresentation: D) throws {}
    }
  }
}

extension P256 {
  public enum KeyAgreement {
    public struct PublicKey: Sendable {
      public init<D: ContiguousBytes>(x963Representation: D) throws {}
      public var derRepresentation: Data { Data() }
    }
  }
}

public enum SecureEnclave {
  public static var isAvailable: Bool { false }

  public enum P256 {
    public enum KeyAgreement {
      public struct PrivateKey: Sendable {
        public init() throws {}
        public init(dataRepresentation: Data) throws {}
        public var dataRepresentation: Data { Data() }
        public var publicKey: CryptoKit.P256.KeyAgreement.PublicKey { fatalError("a stub") }
        public func sharedSecretFromKeyAgreement(
          with publicKeyShare: CryptoKit.P256.KeyAgreement.PublicKey
        ) throws -> SharedSecret { SharedSecret() }
      }
    }
  }
}

public struct SharedSecret: ContiguousBytes, Sendable {
  public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try body(UnsafeRawBufferPointer(start: nil, count: 0))
  }
}

public struct SymmetricKey: ContiguousBytes, Sendable {
  public init<D: ContiguousBytes>(data: D) {}
  public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try body(UnsafeRawBufferPointer(start: nil, count: 0))
  }
}

public protocol HashFunction {}

public struct SHA256: HashFunction {}

public struct HashedAuthenticationCode<H: HashFunction>: Sequence {
  public func makeIterator() -> Array<UInt8>.Iterator { [UInt8]().makeIterator() }
}

public struct HMAC<H: HashFunction> {
  public typealias MAC = HashedAuthenticationCode<H>
  public static func authenticationCode<D: DataProtocol>(for data: D, using key: SymmetricKey) -> MAC { MAC() }
}

public enum AES {
  public enum KeyWrap {
    public static func unwrap<WrappedKey: DataProtocol>(
      _ wrapped: WrappedKey, using kek: SymmetricKey
    ) throws -> SymmetricKey { kek }
  }

  public enum GCM {
    public struct Nonce: Sendable {
      public init<D: DataProtocol>(data: D) throws {}
    }

    public struct SealedBox: Sendable {
      public init<C: DataProtocol, T: DataProtocol>(nonce: Nonce, ciphertext: C, tag: T) throws {}
    }

    public static func open(_ sealedBox: SealedBox, using key: SymmetricKey) throws -> Data { Data() }
  }
}
