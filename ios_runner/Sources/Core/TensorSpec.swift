/// Name, element type and full shape (with batch) of one tensor of one call; an open dimension is `any`.
public struct TensorSpec: Equatable, Sendable {
  public static let any = -1

  public let name: String
  public let dtype: DType
  public let shape: [Int]

  public init(name: String, dtype: DType, shape: [Int]) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
  }

  /// Size in the file, in bytes; nil if it does not fit in 64 bits.
  public var bytes: Int? { TensorSpec.bytes(of: dtype, shape) }

  static func bytes(of dtype: DType, _ shape: [Int]) -> Int? {
    shape.reduce(dtype.bytes as Int?) { product, size in
      guard let product else { return nil }
      let (value, overflow) = product.multipliedReportingOverflow(by: size)
      return overflow ? nil : value
    }
  }
}

extension TensorSpec: CustomStringConvertible {
  public var description: String { "\(dtype.rawValue) \(shape)" }
}
