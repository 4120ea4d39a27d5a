/// What a runtime is asked to run the model with.
public enum Delegate: String, CaseIterable, Sendable {
  case cpu, xnnpack, gpu, nnapi, coreml, qnn
}

/// The element type of a tensor on the wire, little-endian in the `.bin` files.
public enum DType: String, CaseIterable, Sendable {
  case float32, float16, int64, int32, int16, int8, uint8, bool

  /// The meaning of the values. A cast within one sort keeps it.
  public enum Sort: Sendable { case float, integer, truth }

  /// Size of one element, in bytes.
  public var bytes: Int {
    switch self {
    case .int64: 8
    case .float32, .int32: 4
    case .float16, .int16: 2
    case .int8, .uint8, .bool: 1
    }
  }

  public var sort: Sort {
    switch self {
    case .float32, .float16: .float
    case .int64, .int32, .int16, .int8, .uint8: .integer
    case .bool: .truth
    }
  }
}

/// Where a launch failed, as seen by the runner. The host has more kinds, for runners that do not reply.
public enum FailureKind: String, Sendable {
  case load, delegate, run, oom, digest, input, storage
}
