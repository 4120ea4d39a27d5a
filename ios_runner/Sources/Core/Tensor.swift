/// The values of one tensor in C order, little-endian. Its memory does not move, so native code can read it in place.
public final class Tensor {
  public let dtype: DType
  public let shape: [Int]
  public let data: UnsafeMutableRawBufferPointer

  /// A tensor of zeros. Throws a failure `input` for a shape that does not fit into memory.
  public init(_ dtype: DType, _ shape: [Int]) throws {
    guard let bytes = TensorSpec.bytes(of: dtype, shape), bytes >= 0 else {
      throw RunFailure.failed(.input, "a \(dtype.rawValue) tensor \(shape) does not fit into memory")
    }
    self.dtype = dtype
    self.shape = shape
    // Runtimes compute faster on, and some insist on, values that are aligned to a cache line.
    data = .allocate(byteCount: bytes, alignment: 64)
    data.initializeMemory(as: UInt8.self, repeating: 0)
  }

  /// A copy of `count` bytes at `source`.
  public convenience init(copying source: UnsafeRawPointer?, _ dtype: DType, _ shape: [Int]) throws {
    try self.init(dtype, shape)
    if let source, data.count > 0 { data.copyMemory(from: UnsafeRawBufferPointer(start: source, count: data.count)) }
  }

  deinit {
    data.deallocate()
  }

  public var elements: Int { data.count / dtype.bytes }

  public var described: TensorSpec { TensorSpec(name: "", dtype: dtype, shape: shape) }

  /// Element `at` of a float tensor.
  public func real(_ at: Int) -> Float {
    dtype == .float16
      ? Float(Float16(bitPattern: data.load(fromByteOffset: 2 * at, as: UInt16.self)))
      : data.load(fromByteOffset: 4 * at, as: Float.self)
  }

  /// Set element `at` of a float tensor.
  public func setReal(_ at: Int, _ value: Float) {
    if dtype == .float16 {
      data.storeBytes(of: Float16(value).bitPattern, toByteOffset: 2 * at, as: UInt16.self)
    } else {
      data.storeBytes(of: value, toByteOffset: 4 * at, as: Float.self)
    }
  }

  /// Element `at` of an integer or truth tensor.
  public func integer(_ at: Int) -> Int64 {
    switch dtype {
    case .int64: data.load(fromByteOffset: 8 * at, as: Int64.self)
    case .int32: Int64(data.load(fromByteOffset: 4 * at, as: Int32.self))
    case .int16: Int64(data.load(fromByteOffset: 2 * at, as: Int16.self))
    case .int8: Int64(data.load(fromByteOffset: at, as: Int8.self))
    case .uint8, .bool: Int64(data.load(fromByteOffset: at, as: UInt8.self))
    case .float32, .float16: preconditionFailure("\(dtype.rawValue) values are not integers")
    }
  }

  /// Set element `at` of an integer or truth tensor; excess high bits are dropped.
  public func setInteger(_ at: Int, _ value: Int64) {
    switch dtype {
    case .int64: data.storeBytes(of: value, toByteOffset: 8 * at, as: Int64.self)
    case .int32: data.storeBytes(of: Int32(truncatingIfNeeded: value), toByteOffset: 4 * at, as: Int32.self)
    case .int16: data.storeBytes(of: Int16(truncatingIfNeeded: value), toByteOffset: 2 * at, as: Int16.self)
    case .int8, .uint8, .bool: data.storeBytes(of: UInt8(truncatingIfNeeded: value), toByteOffset: at, as: UInt8.self)
    case .float32, .float16: preconditionFailure("\(dtype.rawValue) values are not integers")
    }
  }
}
