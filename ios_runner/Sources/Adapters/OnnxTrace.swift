import Core

/// The profile that ONNX Runtime writes: a list of events with times in whole microseconds.
struct OnnxTrace {
  private static let suffix = "_kernel_time"

  /// One run of the kernel of one node.
  private struct Kernel {
    let name: String
    let kind: String
    let provider: String
    let startUs: Int
    let elapsedUs: Int
  }

  private let kernels: [Kernel]
  private let calls: [(startUs: Int, elapsedUs: Int)]

  /// Read a trace. Throws a failure `run` if it is not one.
  init(_ json: Json) throws {
    guard case .list(let events) = json else {
      throw RunFailure.failed(.run, "cannot read the trace of onnxruntime: it is not a list of events")
    }
    kernels = events.compactMap(OnnxTrace.kernel)
    calls = events.compactMap { event in
      guard event["name"]?.text == "model_run", let start = event["ts"]?.integer, let elapsed = event["dur"]?.integer
      else { return nil }
      return (start, elapsed)
    }
  }

  private static func kernel(_ event: Json) -> Kernel? {
    guard event["cat"]?.text == "Node", let name = event["name"]?.text, name.hasSuffix(suffix),
      let start = event["ts"]?.integer, let elapsed = event["dur"]?.integer, let facts = event["args"]
    else { return nil }
    return Kernel(
      name: String(name.dropLast(suffix.count)), kind: facts["op_name"]?.text ?? "",
      provider: facts["provider"]?.text ?? "", startUs: start, elapsedUs: elapsed)
  }

  /// The times of whole calls in ns.
  func callsNs(afterFirst: Bool) -> [Int] {
    calls.dropFirst(afterFirst ? 1 : 0).map { 1000 * $0.elapsedUs }
  }

  /// The times of the kernels after the first call, in the order in which they first began.
  func operators() -> [RunReply.OperatorTime] {
    let from = calls.first.map { $0.startUs + $0.elapsedUs } ?? 0
    var order: [String] = []
    var runs: [String: [Kernel]] = [:]
    for kernel in kernels.filter({ $0.startUs >= from }).sorted(by: { $0.startUs < $1.startUs }) {
      let key = "\(kernel.name)\0\(kernel.provider)"
      if runs[key] == nil { order.append(key) }
      runs[key, default: []].append(kernel)
    }
    return order.compactMap { runs[$0] }.map { runs in
      RunReply.OperatorTime(
        name: runs[0].name, kind: runs[0].kind, samplesNs: runs.map { 1000 * $0.elapsedUs },
        ranOn: OnnxTrace.delegate(of: runs[0].provider))
    }
  }

  /// `report` with what the delegate was seen to run. If it ran nothing, the processor did. The nodes are those of the
  /// optimised graph; Core ML compiles each of its partitions into one node, XNNPACK runs single nodes.
  func report(_ report: RunReply.Runtime, delegate: Delegate) -> RunReply.Runtime {
    let nodes = Set(kernels.map(\.name))
    guard let provider = OnnxTrace.provider(of: delegate), !nodes.isEmpty else { return report }
    let delegated = Set(kernels.filter { $0.provider == provider }.map(\.name))
    var report = report
    report.nodesTotal = nodes.count
    report.nodesDelegated = delegated.count
    report.delegateUsed = delegated.isEmpty ? Delegate.cpu.rawValue : report.delegateUsed
    report.partitions = delegate == .coreml ? delegated.count : nil
    let left = Dictionary(grouping: kernels.filter { $0.provider != provider }, by: \.kind)
    report.nodesLeft = left.sorted { $0.key < $1.key }.map {
      RunReply.NodesLeft(kind: $0.key, nodes: Set($0.value.map(\.name)).count)
    }
    return report
  }

  /// ONNX Runtime's name of the execution provider that a delegate is; nil if there is none for iOS.
  static func provider(of delegate: Delegate) -> String? {
    switch delegate {
    case .cpu: "CPUExecutionProvider"
    case .xnnpack: "XnnpackExecutionProvider"
    case .coreml: "CoreMLExecutionProvider"
    case .gpu, .nnapi, .qnn: nil
    }
  }

  /// The wire's name of the delegate that an execution provider is; the provider's own name if it is none.
  private static func delegate(of provider: String) -> String {
    Delegate.allCases.first { self.provider(of: $0) == provider }?.rawValue ?? provider
  }
}

extension Json {
  fileprivate subscript(_ key: String) -> Json? {
    guard case .object(let fields) = self else { return nil }
    return fields[key]
  }

  fileprivate var text: String? {
    guard case .text(let text) = self else { return nil }
    return text
  }

  fileprivate var integer: Int? {
    guard case .integer(let value) = self else { return nil }
    return value
  }
}
