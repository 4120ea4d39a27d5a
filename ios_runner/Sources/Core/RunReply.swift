/// The outcome of one launch, which `ReplyWriter` writes. Nothing in it is judged or summarised.
public struct RunReply: Sendable {
  public let cell: String
  public let launch: Int
  public let status: Status
  public let runner: Runner
  public let failure: Failure?
  public let results: Results
  public let state: States?
  public var encryptionKey: EncryptionKey?

  /// The public key of the runner, in Base64, and how keys of files are wrapped for it.
  public struct EncryptionKey: Equatable, Sendable {
    public let algorithm: String
    public let publicKey: String
  }

  /// How a launch ended.
  public enum Status: String, Sendable { case ok, unsupported, failed }

  /// The program that measured. Results of different kinds of runner are not compared.
  public struct Runner: Sendable {
    public let kind: String
    public let version: String
    public let debuggable: Bool

    public init(kind: String, version: String, debuggable: Bool) {
      self.kind = kind
      self.version = version
      self.debuggable = debuggable
    }
  }

  /// A message for people, and the evidence.
  public struct Failure: Sendable {
    public let kind: FailureKind
    public let message: String
    public let detail: String
  }

  /// What was measured. Each part is nil until it has been measured.
  public struct Results: Sendable {
    public var runtime: Runtime?
    public var load: Load?
    public var latency: Latency?
    public var memory: Memory?
    public var outputs: Outputs?
    public var profile: [OperatorTime] = []
    public var profileFacts: ProfileFacts?
    public var energy: Energy?
  }

  /// The idle block and the load block. The driver reads a counter meanwhile.
  ///
  /// `wallOffsetNs` is what to add to their times to get the time of day in ns since 1970.
  public struct Energy: Equatable, Sendable {
    public let blocks: [EnergyBlock]
    public let wallOffsetNs: Int
  }

  /// A time in which the runner only waited (`idle`), or ran `calls` back to back (`load`).
  public struct EnergyBlock: Equatable, Sendable {
    public let kind: String
    public let beganNs: Int
    public let endedNs: Int
    public let calls: Int
  }

  /// The runtime and how it ran the model. A count is nil if the runtime does not report it.
  public struct Runtime: Equatable, Sendable {
    public var name: String
    public var version: String
    public var delegateRequested: Delegate
    public var delegateUsed: String
    public var threads: Int
    public var nodesTotal: Int?
    public var nodesDelegated: Int?
    public var partitions: Int?
    public var accelerator: String?
    public var nodesLeft: [NodesLeft] = []

    public init(name: String, version: String, request: RunRequest.Runtime, used: String? = nil) {
      self.name = name
      self.version = version
      delegateRequested = request.delegate
      delegateUsed = used ?? request.delegate.rawValue
      threads = request.threads
    }
  }

  /// The nodes of one type that the delegate did not take.
  public struct NodesLeft: Equatable, Sendable {
    public let kind: String
    public let nodes: Int
    public let reason: String

    public init(kind: String, nodes: Int, reason: String = "") {
      self.kind = kind
      self.nodes = nodes
      self.reason = reason
    }
  }

  /// The time of the first load in this process, and of further loads of the same file.
  public struct Load: Equatable, Sendable {
    public let firstNs: Int
    public let warmNs: [Int]
  }

  /// Every call, in order. With a stride, `atNs` has the start time of each sample.
  public struct Latency: Equatable, Sendable {
    public let firstNs: Int
    public let warmupNs: [Int]
    public let samplesNs: [Int]
    public let atNs: [Int]
    public let beganNs: Int?
  }

  /// Memory of the process at four moments, in bytes; `split` says what it consists of at each.
  public struct Memory: Equatable, Sendable {
    public let definition: String
    public let baselineBytes: Int
    public let loadedBytes: Int
    public let steadyBytes: Int
    public let peakBytes: Int?
    public let retainedBytes: Int?
    public let mappedBytes: Int?
    public let split: [MemorySplit]
  }

  /// Resident and swapped memory at one moment, in bytes; nil if the system does not report it.
  public struct MemorySplit: Equatable, Sendable {
    public let at: String
    public let anonymousBytes: Int?
    public let fileBytes: Int?
    public let sharedBytes: Int?
    public let swapBytes: Int?
    public let pssBytes: Int?
  }

  /// Describes `outputs.bin`.
  public struct Outputs: Equatable, Sendable {
    public let file: String
    public let count: Int
    public let tensors: [TensorSpec]
  }

  /// The times of one operator over the calls of the profile pass, or what ran it if it was not timed.
  public struct OperatorTime: Equatable, Sendable {
    public let name: String
    public let kind: String
    public let samplesNs: [Int]
    public let ranOn: String
    public let reason: String
    public let nodes: Int

    public init(
      name: String, kind: String, samplesNs: [Int], ranOn: String = "", reason: String = "", nodes: Int = 1
    ) {
      self.name = name
      self.kind = kind
      self.samplesNs = samplesNs
      self.ranOn = ranOn
      self.reason = reason
      self.nodes = nodes
    }
  }

  /// What timed the operators, the profiled calls as a whole, and why something is missing.
  public struct ProfileFacts: Equatable, Sendable {
    public let source: String
    public let callsNs: [Int]
    public let reason: String

    public init(source: String, callsNs: [Int] = [], reason: String = "") {
      self.source = source
      self.callsNs = callsNs
      self.reason = reason
    }
  }

  /// The state of the device at one moment. Facts that it does not report are nil or empty.
  public struct StateSample: Equatable, Sendable {
    public var atNs: Int
    public var thermalStatus: String?
    public var lowPowerMode: Bool?
    public var temperaturesC: [String: Double] = [:]
    public var cpuKhz: [Int] = []
    public var governor: String?
    public var load1m: Double?
    public var availableBytes: Int?
    public var batteryPercent: Double?
    public var charging: Bool?

    public init(atNs: Int) {
      self.atNs = atNs
    }
  }

  /// The state of the device before and after the passes, and once per second in between.
  public struct States: Equatable, Sendable {
    public let before: StateSample
    public let after: StateSample
    public let series: [StateSample]
  }
}
