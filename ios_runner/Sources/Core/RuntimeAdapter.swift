/// One runtime.
public protocol RuntimeAdapter {
  /// The format that it runs, by its name on the wire.
  var format: String { get }

  /// Load the library and make the settings that apply to the whole process. The memory baseline is read after this,
  /// so the runtime's own memory does not count as the model's.
  ///
  /// Throws a failure `load`, unsupported, if the runtime is not installed, and `input` for an option it does not have.
  func start(_ request: RunRequest.Runtime) throws

  /// Prepare the file before its load is timed, and return the path to load. An app ships a compiled Core ML model,
  /// for example.
  func prepared(_ path: String, scratch: String) throws -> String

  /// Load the artifact and its delegate, ready to be called.
  func load(_ path: String, _ request: RunRequest.Runtime) throws -> any Session

  /// The report with what only a call under observation shows, such as which nodes a delegate ran. Called after every
  /// pass that measures, while no model is loaded. `inputs` are those of call 0 in the model's order.
  func observed(
    _ path: String, _ request: RunRequest.Runtime, _ inputs: [Tensor], scratch: String, report: RunReply.Runtime
  ) throws -> RunReply.Runtime

  /// Times of single operators over `calls` calls. Called while no model is loaded.
  func profile(_ path: String, _ request: RunRequest.Runtime, _ inputs: [Tensor], calls: Int, scratch: String) throws
    -> Profiled
}

/// The operators of a profile and what is known of it.
public struct Profiled {
  public let operators: [RunReply.OperatorTime]
  public let facts: RunReply.ProfileFacts

  public init(operators: [RunReply.OperatorTime], facts: RunReply.ProfileFacts) {
    self.operators = operators
    self.facts = facts
  }
}

extension RuntimeAdapter {
  public func prepared(_ path: String, scratch: String) throws -> String { path }

  public func observed(
    _ path: String, _ request: RunRequest.Runtime, _ inputs: [Tensor], scratch: String, report: RunReply.Runtime
  ) throws -> RunReply.Runtime { report }

  public func profile(
    _ path: String, _ request: RunRequest.Runtime, _ inputs: [Tensor], calls: Int, scratch: String
  ) throws -> Profiled {
    let reason = "this runtime has no profiler for single operators on iOS"
    return Profiled(operators: [], facts: RunReply.ProfileFacts(source: format, reason: reason))
  }
}

/// A loaded model. Only `invoke` is timed.
public protocol Session: AnyObject {
  /// The logical inputs, or nil if the runtime does not describe them. A quantised input counts as float32, and an open
  /// dimension is `TensorSpec.any`.
  var inputs: [TensorSpec]? { get }

  /// The runtime, and what it really runs on.
  var report: RunReply.Runtime { get }

  /// Set the inputs of one call, already checked and in the model's order. Casts and quantisation happen here.
  func setInputs(_ tensors: [Tensor]) throws

  /// Run the model once on the inputs set before.
  func invoke() throws

  /// Copies of the outputs of the last call, in their wire types.
  func outputs() throws -> [Tensor]

  /// Release the model. A second call does nothing.
  func close()
}
