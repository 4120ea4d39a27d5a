import CTFLite
import Core

/// An interpreter with its tensors allocated. A timed call is `invoke` alone; inputs stay in the interpreter's tensors.
final class TfliteSession: Session {
  let inputs: [TensorSpec]?
  private let library: TfliteLibrary
  private let request: RunRequest.Runtime
  private let file: TfliteFile
  private let call: @convention(c) (OpaquePointer?) -> UInt32
  private let log: UnsafeMutablePointer<pb_tflite_log>
  private var model: OpaquePointer?
  private var interpreter: OpaquePointer?
  private var delegate: TfliteDelegate?

  init(_ library: TfliteLibrary, _ path: String, _ file: TfliteFile, _ request: RunRequest.Runtime) throws {
    self.library = library
    self.request = request
    self.file = file
    call = library.table.TfLiteInterpreterInvoke
    log = .allocate(capacity: 1)
    log.initialize(to: pb_tflite_log())
    do {
      delegate = try library.delegate(request)
      let native = try TfliteSession.made(library, path, request, delegate, log)
      (model, interpreter) = (native.model, native.interpreter)
      inputs = try TfliteSession.specs(library.table, native.interpreter, file)
    } catch {
      TfliteSession.release(library, model, interpreter)
      log.deallocate()
      throw error
    }
  }

  deinit {
    close()
    log.deallocate()
  }

  var report: RunReply.Runtime {
    var report = RunReply.Runtime(name: TfliteAdapter.name, version: library.version, request: request)
    report.nodesTotal = file.nodes
    if request.delegate == .cpu { (report.nodesDelegated, report.partitions) = (0, 0) }
    return report
  }

  func setInputs(_ tensors: [Tensor]) throws {
    try resize(tensors)
    for (at, tensor) in tensors.enumerated() {
      let native = library.table.TfLiteInterpreterGetInputTensor(interpreter, Int32(at))
      let stored = try TfliteTensor(library.table, native).stored(tensor)
      guard let target = library.table.TfLiteTensorData(native),
        library.table.TfLiteTensorByteSize(native) == stored.data.count
      else { throw RunFailure.call(TfliteAdapter.title, "input \(at) has memory of another size than its values") }
      target.copyMemory(from: stored.data.baseAddress!, byteCount: stored.data.count)
    }
  }

  func invoke() throws {
    if call(interpreter) != UInt32(PB_TFLITE_OK) { throw RunFailure.call(TfliteAdapter.title, said) }
  }

  func outputs() throws -> [Tensor] {
    try (0..<library.table.TfLiteInterpreterGetOutputTensorCount(interpreter)).map { at in
      try TfliteTensor(library.table, library.table.TfLiteInterpreterGetOutputTensor(interpreter, at)).real()
    }
  }

  /// The report with what delegates took, as the interpreter's plan shows it. The session cannot be measured after it.
  func observed() -> RunReply.Runtime {
    var report = report
    var table = library.table
    let plan = pb_tflite_observe(&table, interpreter)
    guard plan.steps >= 0 else { return report }
    let left = Int(plan.steps - plan.partitions)
    report.nodesDelegated = max(0, file.nodes - left)
    report.partitions = Int(plan.partitions)
    // A delegate that took nothing was not used.
    if plan.partitions == 0 { report.delegateUsed = Delegate.cpu.rawValue }
    return report
  }

  func close() {
    TfliteSession.release(library, model, interpreter)
    (model, interpreter) = (nil, nil)
    delegate = nil
  }

  /// Resize open dimensions to the sizes of the inputs. Nothing happens if they have them already.
  private func resize(_ tensors: [Tensor]) throws {
    var changed = false
    for (at, tensor) in tensors.enumerated() {
      let native = library.table.TfLiteInterpreterGetInputTensor(interpreter, Int32(at))
      guard TfliteTensor(library.table, native).shape != tensor.shape else { continue }
      let sizes = tensor.shape.map(Int32.init)
      changed = true
      guard
        library.table.TfLiteInterpreterResizeInputTensor(interpreter, Int32(at), sizes, Int32(sizes.count))
          == UInt32(PB_TFLITE_OK)
      else { throw RunFailure.call(TfliteAdapter.title, said) }
    }
    if changed, library.table.TfLiteInterpreterAllocateTensors(interpreter) != UInt32(PB_TFLITE_OK) {
      throw RunFailure.call(TfliteAdapter.title, said)
    }
  }

  /// What the interpreter complained about.
  private var said: String { TfliteSession.text(log) }
}

extension TfliteSession {
  /// The model and its interpreter with the tensors allocated, which is when delegates take their nodes.
  private static func made(
    _ library: TfliteLibrary, _ path: String, _ request: RunRequest.Runtime, _ delegate: TfliteDelegate?,
    _ log: UnsafeMutablePointer<pb_tflite_log>
  ) throws -> (model: OpaquePointer, interpreter: OpaquePointer) {
    let table = library.table
    guard let model = table.TfLiteModelCreateFromFile(path) else {
      throw RunFailure.load(TfliteAdapter.title, path, "the runtime does not accept the file")
    }
    let options = table.TfLiteInterpreterOptionsCreate()
    defer { table.TfLiteInterpreterOptionsDelete(options) }
    pb_tflite_log_errors(library.handle, options, log)
    table.TfLiteInterpreterOptionsSetNumThreads(options, Int32(request.threads))
    if let delegate { table.TfLiteInterpreterOptionsAddDelegate(options, delegate.native) }
    let interpreter = table.TfLiteInterpreterCreate(model, options)
    guard let interpreter, table.TfLiteInterpreterAllocateTensors(interpreter) == UInt32(PB_TFLITE_OK) else {
      release(library, model, interpreter)
      throw RunFailure.load(TfliteAdapter.title, path, text(log))
    }
    return (model, interpreter)
  }

  private static func release(_ library: TfliteLibrary, _ model: OpaquePointer?, _ interpreter: OpaquePointer?) {
    if let interpreter { library.table.TfLiteInterpreterDelete(interpreter) }
    if let model { library.table.TfLiteModelDelete(model) }
  }

  private static func text(_ log: UnsafeMutablePointer<pb_tflite_log>) -> String {
    let text = withUnsafePointer(to: &log.pointee.text) { tuple in
      tuple.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: tuple.pointee)) {
        String(cString: $0)
      }
    }
    return text.isEmpty ? "the runtime gave no reason" : text
  }

  /// The inputs, and a check of every tensor before any call. Throws a failure `load`, unsupported.
  private static func specs(_ table: pb_tflite, _ interpreter: OpaquePointer, _ file: TfliteFile) throws
    -> [TensorSpec]
  {
    for at in 0..<table.TfLiteInterpreterGetOutputTensorCount(interpreter) {
      _ = try TfliteTensor(table, table.TfLiteInterpreterGetOutputTensor(interpreter, at)).logicalType("output")
    }
    return try (0..<Int(table.TfLiteInterpreterGetInputTensorCount(interpreter))).map { at in
      let tensor = TfliteTensor(table, table.TfLiteInterpreterGetInputTensor(interpreter, Int32(at)))
      let name = file.inputNames.indices.contains(at) ? file.inputNames[at] : tensor.name
      let shape = file.inputShapes.indices.contains(at) ? file.inputShapes[at] : tensor.shape
      return TensorSpec(name: name, dtype: try tensor.logicalType("input"), shape: shape)
    }
  }
}

/// A tensor of an interpreter. Its values on the wire are the logical ones: what is quantised in the file is float32.
struct TfliteTensor {
  private let table: pb_tflite
  private let native: OpaquePointer?

  init(_ table: pb_tflite, _ native: OpaquePointer?) {
    self.table = table
    self.native = native
  }

  var name: String { table.TfLiteTensorName(native).map { String(cString: $0) } ?? "" }

  var shape: [Int] { (0..<table.TfLiteTensorNumDims(native)).map { Int(table.TfLiteTensorDim(native, $0)) } }

  private var quantisation: pb_quantisation? {
    let parameters = table.TfLiteTensorQuantizationParams(native)
    return parameters.scale == 0 ? nil : parameters
  }

  /// The type of the values as stored; nil for those that the wire has under another type, or not at all.
  private var storedType: DType? {
    switch Int(table.TfLiteTensorType(native)) {
    case PB_TFLITE_FLOAT32: .float32
    case PB_TFLITE_FLOAT16: .float16
    case PB_TFLITE_INT64: .int64
    case PB_TFLITE_INT32: .int32
    case PB_TFLITE_INT16: .int16
    case PB_TFLITE_INT8: .int8
    case PB_TFLITE_UINT8: .uint8
    case PB_TFLITE_BOOL: .bool
    default: nil
    }
  }

  /// The width of an unsigned integer that becomes int64 on the wire; nil for other types.
  private var unsignedWidth: Int? {
    switch Int(table.TfLiteTensorType(native)) {
    case PB_TFLITE_UINT16: 2
    case PB_TFLITE_UINT32: 4
    case PB_TFLITE_UINT64: 8
    default: nil
    }
  }

  private var isDouble: Bool { Int(table.TfLiteTensorType(native)) == PB_TFLITE_FLOAT64 }

  /// The type on the wire of an input or output. Throws a failure `load`, unsupported, for what is no number.
  func logicalType(_ role: String) throws -> DType {
    if quantisation != nil || isDouble { return .float32 }
    if unsignedWidth != nil { return .int64 }
    guard let type = storedType else {
      throw RunFailure.unsupported(
        .load,
        "\(role) '\(name)' of the model is a tensor of type \(table.TfLiteTensorType(native)), which phonebench "
          + "does not support: it must be a tensor of numbers")
    }
    return type
  }

  /// The values of `tensor` as this tensor stores them.
  func stored(_ tensor: Tensor) throws -> Tensor {
    if let type = storedType, let quantisation, type.sort == .integer {
      return try tensor.quantised(to: type, scale: quantisation.scale, zeroPoint: quantisation.zero_point)
    }
    if let type = storedType { return try tensor.cast(to: type) }
    if let width = unsignedWidth { return try tensor.cast(to: width == 8 ? .int64 : width == 4 ? .int32 : .int16) }
    return try tensor.cast(to: .float32).asDoubles()
  }

  /// A copy of the values as they are on the wire.
  func real() throws -> Tensor {
    let data = table.TfLiteTensorData(native)
    if let type = storedType {
      let copy = try Tensor(copying: data, type, shape)
      guard let quantisation, type.sort == .integer else { return try copy.asOutput() }
      return try copy.dequantised(scale: quantisation.scale, zeroPoint: quantisation.zero_point)
    }
    if let width = unsignedWidth { return try Tensor(unsignedAt: data, width: width, shape) }
    return try Tensor(doublesAt: data, shape)
  }
}
