#if canImport(CoreML)
  import CoreML
  import Core
  import Foundation

  /// A loaded Core ML model. A timed call is a prediction, which makes its outputs; the inputs stay where they are.
  final class CoreMLSession: Session {
    let inputs: [TensorSpec]?
    let report: RunReply.Runtime
    private let outputNames: [String]
    private var model: MLModel?
    private var features: MLDictionaryFeatureProvider?
    private var result: (any MLFeatureProvider)?
    // Core ML reads their data in place.
    private var held: [Tensor] = []

    init(_ model: MLModel, _ names: CoreMLPackage, report: RunReply.Runtime) throws {
      self.model = model
      self.report = report
      outputNames = names.outputs
      let described = model.modelDescription
      for name in names.outputs { _ = try CoreMLSession.constraint(described.outputDescriptionsByName, name, "output") }
      inputs = try names.inputs.map { name in
        let array = try CoreMLSession.constraint(described.inputDescriptionsByName, name, "input")
        let dtype = try CoreMLSession.dtype(array.dataType, "input", name)
        return TensorSpec(name: name, dtype: dtype, shape: array.shape.map(\.intValue))
      }
    }

    func setInputs(_ tensors: [Tensor]) throws {
      var values: [String: Any] = [:]
      var stored: [Tensor] = []
      do {
        for (spec, tensor) in zip(inputs ?? [], tensors) {
          let ready = try tensor.cast(to: spec.dtype)
          stored.append(ready)
          values[spec.name] = MLFeatureValue(multiArray: try ready.multiArray())
        }
        features = try MLDictionaryFeatureProvider(dictionary: values)
        held = stored
      } catch let failure as RunFailure {
        throw failure
      } catch {
        throw RunFailure.call(CoreMLAdapter.title, "\(error)")
      }
    }

    func invoke() throws {
      do {
        result = try model!.prediction(from: features!)
      } catch {
        throw RunFailure.call(CoreMLAdapter.title, "\(error)")
      }
    }

    func outputs() throws -> [Tensor] {
      try outputNames.map { name in
        guard let array = result?.featureValue(for: name)?.multiArrayValue else {
          throw RunFailure.call(CoreMLAdapter.title, "the output '\(name)' is missing")
        }
        return try Tensor(array, name: name)
      }
    }

    func close() {
      (model, features, result) = (nil, nil, nil)
      held = []
    }

    /// The description of an input or output, if it is a tensor. Throws a failure `load`, unsupported.
    private static func constraint(_ described: [String: MLFeatureDescription], _ name: String, _ role: String) throws
      -> MLMultiArrayConstraint
    {
      guard let constraint = described[name]?.multiArrayConstraint else {
        throw RunFailure.unsupported(
          .load,
          "\(role) '\(name)' of the model is no multi-array, which phonebench does not support: "
            + "it must be a tensor of numbers")
      }
      return constraint
    }

    static func dtype(_ type: MLMultiArrayDataType, _ role: String, _ name: String) throws -> DType {
      if type == .int32 { return .int32 }
      if type == .float32 || type == .double { return .float32 }
      if #available(iOS 16.0, macOS 13.0, *), type == .float16 { return .float16 }
      throw RunFailure.unsupported(
        .load, "\(role) '\(name)' of the model is of type \(type.rawValue), which phonebench does not support")
    }
  }

  extension Tensor {
    /// A multi-array that reads this tensor in place.
    fileprivate func multiArray() throws -> MLMultiArray {
      var type = MLMultiArrayDataType.float32
      if dtype == .int32 { type = .int32 }
      if #available(iOS 16.0, macOS 13.0, *), dtype == .float16 { type = .float16 }
      var strides: [NSNumber] = []
      var step = elements
      for size in shape {
        step = size == 0 ? 0 : step / size
        strides.append(NSNumber(value: step))
      }
      return try MLMultiArray(
        dataPointer: data.baseAddress!, shape: shape.map { NSNumber(value: $0) }, dataType: type, strides: strides,
        deallocator: nil)
    }

    /// A copy of an output in its wire type. Core ML may leave gaps between the rows of an output.
    fileprivate convenience init(_ array: MLMultiArray, name: String) throws {
      let type = array.dataType
      let dtype = try CoreMLSession.dtype(type, "output", name)
      try self.init(dtype == .int32 ? .int32 : .float32, array.shape.map(\.intValue))
      let strides = array.strides.map(\.intValue)
      let source = UnsafeRawPointer(array.dataPointer)
      for at in 0..<elements {
        let place = Tensor.place(of: at, shape, strides)
        switch dtype {
        case .int32: setInteger(at, Int64(source.load(fromByteOffset: 4 * place, as: Int32.self)))
        case .float16:
          setReal(at, Float(Float16(bitPattern: source.load(fromByteOffset: 2 * place, as: UInt16.self))))
        default:
          let value =
            type == .double
            ? Float(source.load(fromByteOffset: 8 * place, as: Double.self))
            : source.load(fromByteOffset: 4 * place, as: Float.self)
          setReal(at, value)
        }
      }
    }

    /// Where element `at` of C order is among values with `strides`.
    private static func place(of at: Int, _ shape: [Int], _ strides: [Int]) -> Int {
      var rest = at
      var place = 0
      for axis in shape.indices.reversed() {
        place += rest % shape[axis] * strides[axis]
        rest /= shape[axis]
      }
      return place
    }
  }
#endif
