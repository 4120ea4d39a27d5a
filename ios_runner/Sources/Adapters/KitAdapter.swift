import CKit
import Core

/// Runtimes with a C++ interface, behind the table of functions of their kits: ExecuTorch for `.pte`, PyTorch for
/// `.ptl`.
public final class KitAdapter: RuntimeAdapter {
  public let format: String
  private let kit: Kit
  private let name: String
  private let title: String
  private let delegates: [Delegate]
  private let libraries: Libraries
  private var table: UnsafePointer<pb_kit>?

  private init(
    format: String, kit: Kit, name: String, title: String, delegates: [Delegate], libraries: Libraries
  ) {
    self.format = format
    self.kit = kit
    self.name = name
    self.title = title
    self.delegates = delegates
    self.libraries = libraries
  }

  /// ExecuTorch. The backend is fixed at export, so the file decides what it runs on, not the request.
  public static func executorch(_ libraries: Libraries) -> KitAdapter {
    KitAdapter(
      format: "pte", kit: .executorch, name: "executorch", title: "ExecuTorch", delegates: Delegate.allCases,
      libraries: libraries)
  }

  /// PyTorch's lite interpreter, which runs on the processor only.
  public static func torch(_ libraries: Libraries) -> KitAdapter {
    KitAdapter(
      format: "ptl", kit: .torch, name: "torchscript-lite", title: "PyTorch", delegates: [.cpu], libraries: libraries)
  }

  public func start(_ request: RunRequest.Runtime) throws {
    try request.refuseOptions(of: title)
    guard delegates.contains(request.delegate) else {
      let names = delegates.map(\.rawValue).joined(separator: ", ")
      throw RunFailure.unsupported(
        .delegate, "\(title) has no \(request.delegate.rawValue) delegate here (it has: \(names))")
    }
    let library = try libraries.open(kit, title: title)
    typealias Get = @convention(c) () -> UnsafePointer<pb_kit>?
    guard let table = try library.function("pb_kit_get", as: Get.self)(),
      Int(table.pointee.kit_version) == PB_KIT_VERSION
    else { throw RunFailure.unsupported(.load, "the library of \(title) is of another version: build the app again") }
    self.table = table
  }

  public func load(_ path: String, _ request: RunRequest.Runtime) throws -> any Session {
    guard let table else { preconditionFailure("the runtime is used before its start") }
    let error = KitError()
    if let missing = table.pointee.missing_backend(path, error.text) {
      throw RunFailure.unsupported(
        .delegate,
        "the file is lowered to '\(String(cString: missing))', which this build of \(title) does not have")
    }
    guard let model = table.pointee.load(path, Int32(request.threads), error.text) else {
      throw RunFailure.load(title, path, error.reason)
    }
    let version = table.pointee.version().map { String(cString: $0) } ?? "unknown"
    var report = RunReply.Runtime(name: name, version: version, request: request)
    report.delegateUsed = KitAdapter.used(table.pointee.backends(model).map { String(cString: $0) } ?? "")
    return KitSession(table, model, title: title, report: report)
  }

  /// The backends of a file in the wire's words, joined by a plus.
  private static func used(_ backends: String) -> String {
    let names = backends.split(separator: ",").map { backend -> String in
      switch backend {
      case "XnnpackBackend": Delegate.xnnpack.rawValue
      case "CoreMLBackend": Delegate.coreml.rawValue
      case "MPSBackend", "VulkanBackend": Delegate.gpu.rawValue
      default: String(backend)
      }
    }
    return names.isEmpty ? Delegate.cpu.rawValue : names.joined(separator: "+")
  }
}

/// Room for the reason of a call that fails.
private final class KitError {
  let text: UnsafeMutablePointer<CChar>

  init() {
    text = .allocate(capacity: PB_KIT_ERROR_BYTES)
    text.initialize(repeating: 0, count: PB_KIT_ERROR_BYTES)
  }

  deinit {
    text.deallocate()
  }

  var reason: String {
    let reason = String(cString: text)
    return reason.isEmpty ? "the runtime gave no reason" : reason
  }
}

/// A model of a kit. What a timed call is depends on the runtime: see the kit.
private final class KitSession: Session {
  let inputs: [TensorSpec]?
  let report: RunReply.Runtime
  private let table: UnsafePointer<pb_kit>
  private let title: String
  private let call: @convention(c) (OpaquePointer?, UnsafeMutablePointer<CChar>?) -> Int32
  private let error = KitError()
  private var model: OpaquePointer?
  // The runtime reads their data in place.
  private var held: [Tensor] = []

  init(_ table: UnsafePointer<pb_kit>, _ model: OpaquePointer, title: String, report: RunReply.Runtime) {
    self.table = table
    self.model = model
    self.title = title
    self.report = report
    call = table.pointee.invoke
    inputs = KitSession.specs(table, model)
  }

  deinit {
    close()
  }

  func setInputs(_ tensors: [Tensor]) throws {
    let stored = try tensors.enumerated().map { at, tensor in
      let type = inputs.flatMap { $0.indices.contains(at) ? $0[at].dtype : nil } ?? tensor.dtype
      return try tensor.cast(to: type)
    }
    let native = stored.map { pb_tensor(viewing: $0) }
    guard table.pointee.set_inputs(model, native, Int32(native.count), error.text) != 0 else { throw failure }
    held = stored
  }

  func invoke() throws {
    if call(model, error.text) == 0 { throw failure }
  }

  func outputs() throws -> [Tensor] {
    try (0..<table.pointee.output_count(model)).map { at in
      var view = pb_tensor()
      guard table.pointee.output(model, at, &view, error.text) != 0 else { throw failure }
      if view.type == PB_FLOAT64 { return try Tensor(doublesAt: view.data, view.shape) }
      guard let dtype = view.dtype else {
        throw RunFailure.unsupported(
          .run, "output \(at) of the model is of a type that phonebench does not support")
      }
      return try Tensor(copying: view.data, dtype, view.shape).asOutput()
    }
  }

  func close() {
    guard let model else { return }
    self.model = nil
    table.pointee.unload(model)
    held = []
  }

  private var failure: RunFailure { .call(title, error.reason) }

  /// The inputs, or nil if the runtime does not describe them, or has one that the wire cannot carry.
  private static func specs(_ table: UnsafePointer<pb_kit>, _ model: OpaquePointer) -> [TensorSpec]? {
    let count = table.pointee.input_count(model)
    guard count >= 0 else { return nil }
    var specs: [TensorSpec] = []
    for at in 0..<count {
      var tensor = pb_tensor()
      guard table.pointee.input(model, at, &tensor) != 0, let dtype = tensor.dtype else { return nil }
      specs.append(TensorSpec(name: "input_\(at)", dtype: dtype, shape: tensor.shape))
    }
    return specs
  }
}

extension pb_tensor {
  fileprivate init(viewing tensor: Tensor) {
    self.init()
    precondition(tensor.shape.count <= PB_KIT_MOST_DIMENSIONS, "no runtime here has tensors of so many dimensions")
    type = pb_tensor.type(of: tensor.dtype)
    rank = Int32(tensor.shape.count)
    data = tensor.data.baseAddress
    withUnsafeMutableBytes(of: &sizes) { bytes in
      let values = bytes.bindMemory(to: Int64.self)
      for (at, size) in tensor.shape.enumerated() { values[at] = Int64(size) }
    }
  }

  fileprivate var shape: [Int] {
    withUnsafeBytes(of: sizes) { bytes in
      bytes.bindMemory(to: Int64.self).prefix(Int(rank)).map { Int($0) }
    }
  }

  fileprivate var dtype: DType? {
    DType.allCases.first { pb_tensor.type(of: $0) == type }
  }

  private static func type(of dtype: DType) -> pb_type {
    switch dtype {
    case .float32: PB_FLOAT32
    case .float16: PB_FLOAT16
    case .int64: PB_INT64
    case .int32: PB_INT32
    case .int16: PB_INT16
    case .int8: PB_INT8
    case .uint8: PB_UINT8
    case .bool: PB_BOOL
    }
  }
}
