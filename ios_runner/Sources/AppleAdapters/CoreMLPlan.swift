#if canImport(CoreML)
  import CoreML
  import Core
  import Foundation

  /// Where Core ML plans to run each operator of a model. It is a plan: what really ran is not shown to an app.
  @available(iOS 17.4, macOS 14.4, *)
  struct CoreMLPlan {
    /// One operator, and the compute device that Core ML prefers for it.
    private struct Planned {
      let kind: String
      let device: String
      let delegated: Bool
    }

    private let planned: [Planned]

    /// Throws a failure `run` if Core ML makes no plan.
    init(_ model: URL, _ configuration: MLModelConfiguration) throws {
      let plan = try CoreMLPlan.load(model, configuration)
      guard case .program(let program) = plan.modelStructure, let main = program.functions["main"] else {
        throw RunFailure.failed(.run, "Core ML plans ML programs alone, and this model is of another type")
      }
      planned = main.block.operations.compactMap { operation in
        // Constants run nowhere.
        guard let usage = plan.deviceUsage(for: operation) else { return nil }
        return CoreMLPlan.planned(operation.operatorName, usage.preferred)
      }
    }

    /// `report` with the nodes that Core ML plans to run off the processor.
    func report(_ report: RunReply.Runtime) -> RunReply.Runtime {
      var report = report
      let delegated = planned.filter(\.delegated)
      report.nodesTotal = planned.count
      report.nodesDelegated = delegated.count
      let devices = Set(delegated.map(\.device)).sorted()
      report.accelerator = devices.isEmpty ? nil : devices.joined(separator: " and ")
      let left = Dictionary(grouping: planned.filter { !$0.delegated }, by: \.kind)
      report.nodesLeft = left.sorted { $0.key < $1.key }.map {
        RunReply.NodesLeft(kind: $0.key, nodes: $0.value.count, reason: "planned for the processor by Core ML")
      }
      return report
    }

    /// The operators without times, in the order of the program.
    func operators() -> [RunReply.OperatorTime] {
      planned.enumerated().map { at, item in
        RunReply.OperatorTime(name: "\(item.kind):\(at)", kind: item.kind, samplesNs: [], ranOn: item.device)
      }
    }

    private static func planned(_ kind: String, _ device: MLComputeDevice) -> Planned {
      switch device {
      case .neuralEngine: Planned(kind: kind, device: "Neural Engine", delegated: true)
      case .gpu: Planned(kind: kind, device: "GPU", delegated: true)
      case .cpu: Planned(kind: kind, device: Delegate.cpu.rawValue, delegated: false)
      @unknown default: Planned(kind: kind, device: "another device", delegated: true)
      }
    }

    /// The plan, which Core ML makes asynchronously. The thread of the job waits for it.
    private static func load(_ model: URL, _ configuration: MLModelConfiguration) throws -> MLComputePlan {
      let box = PlanBox(configuration)
      let done = DispatchSemaphore(value: 0)
      Task.detached {
        do {
          box.result = .success(try await MLComputePlan.load(contentsOf: model, configuration: box.configuration))
        } catch {
          box.result = .failure(error)
        }
        done.signal()
      }
      done.wait()
      do {
        return try box.result!.get()
      } catch {
        throw RunFailure.failed(.run, "Core ML could not plan the model: \(error)", detail: "\(error)")
      }
    }
  }

  /// Hands over a plan between two threads, of which one waits for the other.
  @available(iOS 17.4, macOS 14.4, *)
  private final class PlanBox: @unchecked Sendable {
    let configuration: MLModelConfiguration
    var result: Result<MLComputePlan, any Error>?

    init(_ configuration: MLModelConfiguration) {
      self.configuration = configuration
    }
  }
#endif
