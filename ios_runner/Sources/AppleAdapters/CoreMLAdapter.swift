#if canImport(CoreML)
  import CoreML
  import Core
  import Foundation

  /// Core ML runs `.mlpackage`. The delegate says which compute units it may use: `coreml` all of them, `cpu` the
  /// processor alone, `gpu` the processor and the GPU. The option `compute_units` says it more exactly.
  public final class CoreMLAdapter: RuntimeAdapter {
    static let name = "coreml"
    static let title = "Core ML"
    private static let option = "compute_units"
    private static let package = "model.mlpackage"

    public let format = "mlpackage"
    private var names: CoreMLPackage?

    public init() {}

    public func start(_ request: RunRequest.Runtime) throws {
      _ = try CoreMLAdapter.units(request)
    }

    /// Unpack the package and compile it, because an app ships the compiled model.
    public func prepared(_ path: String, scratch: String) throws -> String {
      try Unzip.unpack(path, into: scratch)
      let package = "\(scratch)/\(CoreMLAdapter.package)"
      names = try CoreMLPackage(package)
      do {
        let compiled = try MLModel.compileModel(at: URL(fileURLWithPath: package))
        // It is in a folder that the system may empty.
        let kept = "\(scratch)/model.mlmodelc"
        try? FileManager.default.removeItem(atPath: kept)
        try FileManager.default.moveItem(at: compiled, to: URL(fileURLWithPath: kept))
        return kept
      } catch {
        throw RunFailure.load(CoreMLAdapter.title, path, "\(error)")
      }
    }

    public func load(_ path: String, _ request: RunRequest.Runtime) throws -> any Session {
      guard let names else { preconditionFailure("the model is loaded before it is prepared") }
      do {
        let model = try MLModel(contentsOf: URL(fileURLWithPath: path), configuration: configuration(request))
        return try CoreMLSession(model, names, report: report(request))
      } catch let failure as RunFailure {
        throw failure
      } catch {
        throw RunFailure.load(CoreMLAdapter.title, path, "\(error)")
      }
    }

    public func observed(
      _ path: String, _ request: RunRequest.Runtime, _ inputs: [Tensor], scratch: String, report: RunReply.Runtime
    ) throws -> RunReply.Runtime {
      guard #available(iOS 17.4, macOS 14.4, *) else { return report }
      return try CoreMLPlan(URL(fileURLWithPath: path), configuration(request)).report(report)
    }

    public func profile(
      _ path: String, _ request: RunRequest.Runtime, _ inputs: [Tensor], calls: Int, scratch: String
    ) throws -> Profiled {
      let source = "\(CoreMLAdapter.name) \(CoreMLAdapter.version)"
      guard #available(iOS 17.4, macOS 14.4, *) else {
        let reason = "Core ML shows where operators run from iOS 17.4 on"
        return Profiled(operators: [], facts: RunReply.ProfileFacts(source: source, reason: reason))
      }
      let operators = try CoreMLPlan(URL(fileURLWithPath: path), configuration(request)).operators()
      let reason = "Core ML does not time operators for an app; where each runs is what it plans, not what was seen"
      return Profiled(operators: operators, facts: RunReply.ProfileFacts(source: source, reason: reason))
    }

    private func report(_ request: RunRequest.Runtime) throws -> RunReply.Runtime {
      let used: Delegate = try CoreMLAdapter.units(request) == .cpuOnly ? .cpu : .coreml
      return RunReply.Runtime(
        name: CoreMLAdapter.name, version: CoreMLAdapter.version, request: request, used: used.rawValue)
    }

    /// Core ML is a part of the system.
    private static var version: String {
      let version = ProcessInfo.processInfo.operatingSystemVersion
      return "\(version.majorVersion).\(version.minorVersion).\(version.patchVersion)"
    }

    private func configuration(_ request: RunRequest.Runtime) throws -> MLModelConfiguration {
      let configuration = MLModelConfiguration()
      configuration.computeUnits = try CoreMLAdapter.units(request)
      return configuration
    }

    /// The compute units that a request allows. Throws a failure `input` for an option that there is not.
    private static func units(_ request: RunRequest.Runtime) throws -> MLComputeUnits {
      if let other = request.options.keys.sorted().first(where: { $0 != option }) {
        throw RunFailure.failed(.input, "Core ML has no option '\(other)'; it has: \(option)")
      }
      if let word = request.options[option] { return try units(word) }
      switch request.delegate {
      case .coreml: return .all
      case .cpu: return .cpuOnly
      case .gpu: return .cpuAndGPU
      case .xnnpack, .nnapi, .qnn:
        throw RunFailure.unsupported(
          .delegate, "Core ML has no \(request.delegate.rawValue) delegate (it has: cpu, gpu, coreml)")
      }
    }

    private static func units(_ word: String) throws -> MLComputeUnits {
      switch word {
      case "all": return .all
      case "cpu_only": return .cpuOnly
      case "cpu_and_gpu": return .cpuAndGPU
      case "cpu_and_ne":
        if #available(iOS 16.0, macOS 13.0, *) { return .cpuAndNeuralEngine }
        throw RunFailure.unsupported(.delegate, "Core ML can be kept off the GPU from iOS 16 on")
      default:
        throw RunFailure.failed(
          .input, "\(option) is '\(word)'; it must be one of all, cpu_only, cpu_and_gpu, cpu_and_ne")
      }
    }
  }
#endif
