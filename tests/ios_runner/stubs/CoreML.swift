// What the runner uses of Apple's Core ML, declared by ourselves so that its types can be checked without Apple's SDK.
// test_apple_names.py holds every name and value here against declarations that were generated from Apple's headers.
import Foundation

public enum MLComputeUnits: Int, Sendable {
  case cpuOnly = 0
  case cpuAndGPU = 1
  case all = 2
  case cpuAndNeuralEngine = 3
}

public enum MLMultiArrayDataType: Int, Sendable {
  case double = 65600
  case float32 = 65568
  case float16 = 65552
  case int32 = 131104
}

open class MLModelConfiguration: NSObject {
  open var computeUnits: MLComputeUnits = .all
}

open class MLModel: NSObject {
  public init(contentsOf url: URL, configuration: MLModelConfiguration) throws {}
  open class func compileModel(at modelURL: URL) throws -> URL { modelURL }
  open var modelDescription: MLModelDescription { MLModelDescription() }
  open func prediction(from input: any MLFeatureProvider) throws -> any MLFeatureProvider { input }
}

open class MLModelDescription: NSObject {
  open var inputDescriptionsByName: [String: MLFeatureDescription] { [:] }
  open var outputDescriptionsByName: [String: MLFeatureDescription] { [:] }
}

open class MLFeatureDescription: NSObject {
  open var multiArrayConstraint: MLMultiArrayConstraint? { nil }
}

open class MLMultiArrayConstraint: NSObject {
  open var shape: [NSNumber] { [] }
  open var dataType: MLMultiArrayDataType { .float32 }
}

open class MLMultiArray: NSObject {
  public init(
    dataPointer: UnsafeMutableRawPointer, shape: [NSNumber], dataType: MLMultiArrayDataType, strides: [NSNumber],
    deallocator: ((UnsafeMutableRawPointer) -> Void)? = nil
  ) throws {}
  open var dataType: MLMultiArrayDataType { .float32 }
  open var shape: [NSNumber] { [] }
  open var strides: [NSNumber] { [] }
  open var dataPointer: UnsafeMutableRawPointer { UnsafeMutableRawPointer(bitPattern: 1)! }
}

open class MLFeatureValue: NSObject {
  public init(multiArray value: MLMultiArray) {}
  open var multiArrayValue: MLMultiArray? { nil }
}

public protocol MLFeatureProvider {
  func featureValue(for featureName: String) -> MLFeatureValue?
}

open class MLDictionaryFeatureProvider: NSObject, MLFeatureProvider {
  public init(dictionary: [String: Any]) throws {}
  open func featureValue(for featureName: String) -> MLFeatureValue? { nil }
}

open class MLCPUComputeDevice: NSObject {}
open class MLGPUComputeDevice: NSObject {}
open class MLNeuralEngineComputeDevice: NSObject {}

// The names below are Swift's own; they follow Apple's documentation.
public enum MLComputeDevice {
  case cpu(MLCPUComputeDevice)
  case gpu(MLGPUComputeDevice)
  case neuralEngine(MLNeuralEngineComputeDevice)
}

public final class MLComputePlan {
  public struct DeviceUsage {
    public var preferred: MLComputeDevice { .cpu(MLCPUComputeDevice()) }
  }
  public let modelStructure: MLModelStructure = .unsupported
  public static func load(contentsOf url: URL, configuration: MLModelConfiguration) async throws -> MLComputePlan {
    MLComputePlan()
  }
  public func deviceUsage(for operation: MLModelStructure.Program.Operation) -> DeviceUsage? { nil }
}

public enum MLModelStructure {
  case program(Program)
  case unsupported

  public struct Program {
    public let functions: [String: Function]
    public struct Function { public let block: Block }
    public struct Block { public let operations: [Operation] }
    public struct Operation { public let operatorName: String }
  }
}
