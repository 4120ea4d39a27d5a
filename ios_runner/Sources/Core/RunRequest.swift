/// The request of one launch. A pass that is not requested is nil.
public struct RunRequest: Equatable, Sendable {
  public static let schema = 1

  public let cell: String
  public let launch: Int
  public let artifact: Artifact
  public let runtime: Runtime
  public let inputs: Inputs
  public let passes: Passes

  /// One file of the artifact: its name, and its digest in lower-case hexadecimal.
  public struct Part: Equatable, Sendable {
    public let file: String
    public let sha256: String
  }

  /// A file as the store has it: the digest of the ciphertext, and the file's wrapped key.
  public struct EncryptedFile: Equatable, Sendable {
    public let sha256: String
    public let key: [UInt8]
  }

  /// The files of the artifact, encrypted for the key with the digest `recipient`. An empty one asks for the key.
  public struct Encryption: Equatable, Sendable {
    public let recipient: String
    public let files: [EncryptedFile]
  }

  /// The file to load, its format, and the companion files that it refers to by name. `signature` is the text of a
  /// Sigstore bundle, empty without one.
  public struct Artifact: Equatable, Sendable {
    public let file: String
    public let sha256: String
    public let format: String
    public let companions: [Part]
    public let signature: String
    public var encryption: Encryption?

    /// All files of the artifact, beginning with the one to load.
    public var parts: [Part] { [Part(file: file, sha256: sha256)] + companions }
  }

  /// What the runtime is asked to do. What it really did is in the reply.
  public struct Runtime: Equatable, Sendable {
    public let delegate: Delegate
    public let threads: Int
    public let options: [String: String]

    public init(delegate: Delegate, threads: Int, options: [String: String] = [:]) {
      self.delegate = delegate
      self.threads = threads
      self.options = options
    }
  }

  /// `count` inputs in `file`: input by input, tensor by tensor. The digest may be nil.
  public struct Inputs: Equatable, Sendable {
    public let file: String
    public let count: Int
    public let tensors: [TensorSpec]
    public let sha256: String?

    /// The size of all tensors of one call, in bytes; nil if it does not fit in 64 bits.
    public var recordBytes: Int? {
      tensors.reduce(0 as Int?) { sum, spec in
        guard let sum, let bytes = spec.bytes else { return nil }
        let (value, overflow) = sum.addingReportingOverflow(bytes)
        return overflow ? nil : value
      }
    }
  }

  /// The requested passes, which run in this order in one process.
  public struct Passes: Equatable, Sendable {
    public let latency: Latency?
    public let memory: Memory?
    public let outputs: Outputs?
    public let profile: Profile?
    public let energy: Energy?
  }

  /// Call until both minima are reached, or until `maxNs` has passed.
  public struct Limits: Equatable, Sendable {
    public let minCalls: Int
    public let minNs: Int
    public let maxNs: Int
  }

  /// Single calls on input 0. With a stride, calls that begin sooner after the last one kept are dropped.
  public struct Latency: Equatable, Sendable {
    public let warmup: Limits
    public let measure: Limits
    public let intervalNs: Int
    public let strideNs: Int
  }

  /// Reads memory between `calls` untimed calls, and `settleNs` after the model is released.
  public struct Memory: Equatable, Sendable {
    public let calls: Int
    public let settleNs: Int
  }

  /// Runs the inputs `0 … count - 1` once each and writes their outputs.
  public struct Outputs: Equatable, Sendable {
    public let count: Int
  }

  /// Do nothing for `settleNs` and then, as the idle block, for `idleNs`, before the first call.
  public struct Energy: Equatable, Sendable {
    public let idleNs: Int
    public let settleNs: Int
  }

  /// Times of single operators over `calls` calls, if the runtime reports them.
  public struct Profile: Equatable, Sendable {
    public let calls: Int
  }
}
