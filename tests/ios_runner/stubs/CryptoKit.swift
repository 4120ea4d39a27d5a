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
