import COnnxRuntime
import Core

/// The element types of ONNX Runtime that the wire can carry.
enum OnnxType {
  case same(DType, ONNXTensorElementDataType)
  case double
  case unsigned(width: Int, ONNXTensorElementDataType)

  /// An element type as the runtime describes it; `known` is nil for one that is no number.
  struct Described {
    let raw: UInt32
    let known: OnnxType?
  }

  init?(_ type: ONNXTensorElementDataType) {
    switch type {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT: self = .same(.float32, type)
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16: self = .same(.float16, type)
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE: self = .double
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64: self = .same(.int64, type)
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32: self = .same(.int32, type)
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16: self = .same(.int16, type)
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8: self = .same(.int8, type)
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8: self = .same(.uint8, type)
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL: self = .same(.bool, type)
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16: self = .unsigned(width: 2, type)
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32: self = .unsigned(width: 4, type)
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64: self = .unsigned(width: 8, type)
    default: return nil
    }
  }

  /// The type on the wire.
  var dtype: DType {
    switch self {
    case .same(let dtype, _): dtype
    case .double: .float32
    case .unsigned: .int64
    }
  }

  private var native: ONNXTensorElementDataType {
    switch self {
    case .same(_, let type), .unsigned(_, let type): type
    case .double: ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE
    }
  }

  /// The values as the file stores them. What the wire has no type for is in a tensor of integers of the same width.
  func stored(_ tensor: Tensor) throws -> Tensor {
    switch self {
    case .same(let dtype, _): return try tensor.cast(to: dtype)
    case .unsigned(let width, _): return try tensor.cast(to: width == 8 ? .int64 : width == 4 ? .int32 : .int16)
    case .double: return try tensor.asDoubles()
    }
  }

  /// A value of ONNX Runtime that points to the data of `stored`.
  func value(of stored: Tensor, _ runtime: OnnxRuntime, _ memory: OpaquePointer) throws -> OpaquePointer {
    let sizes = stored.shape.map(Int64.init)
    return try runtime.made {
      runtime.api.pointee.CreateTensorWithDataAsOrtValue(
        memory, stored.data.baseAddress, stored.data.count, sizes, sizes.count, native, $0)
    }
  }

  /// The type and the shape that `info` describes; an open dimension is `TensorSpec.any`.
  static func described(_ info: OpaquePointer, _ runtime: OnnxRuntime) throws -> (type: Described, shape: [Int]) {
    let api = runtime.api.pointee
    var type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED
    var rank = 0
    try runtime.check(api.GetTensorElementType(info, &type))
    try runtime.check(api.GetDimensionsCount(info, &rank))
    var sizes = [Int64](repeating: 0, count: rank)
    try runtime.check(api.GetDimensions(info, &sizes, rank))
    return (
      Described(raw: UInt32(type.rawValue), known: OnnxType(type)), sizes.map { $0 < 0 ? TensorSpec.any : Int($0) }
    )
  }

  /// A copy of an output in its wire type.
  static func output(of value: OpaquePointer?, _ runtime: OnnxRuntime) throws -> Tensor {
    let api = runtime.api.pointee
    let info = try runtime.made { api.GetTensorTypeAndShape(value, $0) }
    defer { api.ReleaseTensorTypeAndShapeInfo(info) }
    let (type, shape) = try described(info, runtime)
    var data: UnsafeMutableRawPointer?
    try runtime.check(api.GetTensorMutableData(value, &data))
    switch type.known {
    case .same(let dtype, _): return try Tensor(copying: data, dtype, shape).asOutput()
    case .double: return try Tensor(doublesAt: data, shape)
    case .unsigned(let width, _): return try Tensor(unsignedAt: data, width: width, shape)
    case nil:
      throw RunFailure.unsupported(
        .run, "an output of the model is a tensor of type \(type.raw), which phonebench does not support")
    }
  }
}
