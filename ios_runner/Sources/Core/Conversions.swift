/// Converts between the logical values on the wire and the values that a file stores, outside the timed call.
extension Tensor {
  /// The values converted to `dtype` of the same sort; the tensor itself if it already has that type.
  public func cast(to dtype: DType) throws -> Tensor {
    if self.dtype == dtype { return self }
    guard self.dtype.sort == dtype.sort else {
      throw RunFailure.failed(
        .input, "cannot cast \(self.dtype.rawValue) to \(dtype.rawValue): the values would change their meaning")
    }
    let result = try Tensor(dtype, shape)
    for at in 0..<elements {
      if dtype.sort == .float {
        result.setReal(at, real(at))
      } else {
        result.setInteger(at, integer(at))
      }
    }
    return result
  }

  /// `stored = clip(round(real / scale) + zeroPoint)`, with ties rounded to even.
  public func quantised(to stored: DType, scale: Float, zeroPoint: Int32) throws -> Tensor {
    precondition([.int8, .uint8, .int16].contains(stored), "cannot quantise to \(stored.rawValue)")
    let low: Double = stored == .uint8 ? 0 : stored == .int8 ? -128 : -32768
    let high = low + (stored == .int16 ? 65535 : 255)
    let reals = try cast(to: .float32)
    let result = try Tensor(stored, shape)
    for at in 0..<elements {
      let value = Double((reals.real(at) / scale).rounded(.toNearestOrEven)) + Double(zeroPoint)
      // A NaN has no integer; the middle of the range is as good as any.
      let clipped = value.isNaN ? Double(zeroPoint) : min(max(value, low), high)
      result.setInteger(at, Int64(clipped))
    }
    return result
  }

  /// `real = (stored - zeroPoint) * scale` as float32.
  public func dequantised(scale: Float, zeroPoint: Int32) throws -> Tensor {
    let result = try Tensor(.float32, shape)
    for at in 0..<elements { result.setReal(at, Float(integer(at) - Int64(zeroPoint)) * scale) }
    return result
  }

  /// An output in its wire type: floats of any width become float32, so outputs of all precisions can be compared.
  public func asOutput() throws -> Tensor {
    dtype.sort == .float ? try cast(to: .float32) : self
  }

  /// The values of a float tensor as doubles, which the wire has no type for: in a tensor of integers of that width.
  public func asDoubles() throws -> Tensor {
    let wide = try Tensor(.int64, shape)
    for at in 0..<elements { wide.setInteger(at, Int64(bitPattern: Double(real(at)).bitPattern)) }
    return wide
  }

  /// A float32 tensor of the doubles at `source`.
  public convenience init(doublesAt source: UnsafeRawPointer?, _ shape: [Int]) throws {
    try self.init(.float32, shape)
    guard let source else { return }
    for at in 0..<elements { setReal(at, Float(source.loadUnaligned(fromByteOffset: 8 * at, as: Double.self))) }
  }

  /// An int64 tensor of the unsigned integers of `width` bytes at `source`.
  public convenience init(unsignedAt source: UnsafeRawPointer?, width: Int, _ shape: [Int]) throws {
    try self.init(.int64, shape)
    guard let source else { return }
    for at in 0..<elements {
      let value =
        switch width {
        case 2: UInt64(source.loadUnaligned(fromByteOffset: 2 * at, as: UInt16.self))
        case 4: UInt64(source.loadUnaligned(fromByteOffset: 4 * at, as: UInt32.self))
        default: source.loadUnaligned(fromByteOffset: 8 * at, as: UInt64.self)
        }
      setInteger(at, Int64(truncatingIfNeeded: value))
    }
  }
}
