/// What a launch is told: the job's name and the digest of its inputs, and other settings by name.
public struct LaunchArguments: Sendable {
  public let job: String
  public let inputs: String
  public let others: [String: String]

  /// Read `--name value` pairs. `others` are the names that are allowed besides `job` and `inputs`.
  ///
  /// Returns nil if there is no job: the app was opened by hand. Throws `RequestError` for anything that is wrong.
  public static func read(_ arguments: [String], allowing others: [String] = []) throws -> LaunchArguments? {
    var values: [String: String] = [:]
    var rest = arguments[...]
    while let name = rest.popFirst() {
      guard name.hasPrefix("--"), (["job", "inputs"] + others).contains(String(name.dropFirst(2))) else {
        throw RequestError("unknown argument '\(name)'")
      }
      guard let value = rest.popFirst() else { throw RequestError("'\(name)' has no value") }
      values[String(name.dropFirst(2))] = value
    }
    guard let job = values.removeValue(forKey: "job") else { return nil }
    guard !job.isEmpty, job.utf8.allSatisfy({ isPlain($0) }) else {
      throw RequestError("the job is '\(job)'; it must be a plain name")
    }
    guard let inputs = values.removeValue(forKey: "inputs"), Digest.isOne(inputs) else {
      throw RequestError("--inputs must be the sha256 of the inputs")
    }
    return LaunchArguments(job: job, inputs: inputs, others: values)
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }
}

/// One launch of a runner, from the arguments to the reply on the disk.
public struct LaunchedJob {
  public let place: JobPlace
  private let runner: JobRunner
  private let temporary: String?

  /// `privately` is the app's private folder, see `JobPlace`. `temporary` is its folder for temporary files, to which
  /// the system's own libraries write too.
  public init(
    _ arguments: LaunchArguments, documents: String, privately: String? = nil, temporary: String? = nil,
    runner: JobRunner
  ) {
    place = JobPlace(documents: documents, job: arguments.job, inputs: arguments.inputs, privately: privately)
    self.temporary = temporary
    self.runner = runner
  }

  /// Measure and write the reply. A job is measured once: the system may start an app again with the same arguments.
  /// Throws `FileError` if the reply cannot be written.
  public func run() throws {
    // A launch that crashed leaves files there.
    Files.removeFolder(place.privateFolder)
    if let temporary { Files.empty(temporary) }
    defer { Files.removeFolder(place.privateFolder) }
    try Files.makeFolder(place.folder)
    // A disk that is full must become a reply, so only a mark that is there already ends the launch here.
    guard (try? Files.claim("\(place.folder)/begun")) ?? true else { return }
    let reply = runner.run(place) { interim in
      // If it cannot be written, nothing is lost but this precaution.
      try? ReplyWriter.write(place.folder, interim)
    }
    try ReplyWriter.write(place.folder, reply)
  }
}

/// Sends what this process and its native libraries print to a file, which the host reads after a crash.
public enum Log {
  /// Throws `FileError`.
  public static func redirect(to path: String) throws {
    let file = try File(writing: path)
    for stream in [Int32(1), 2] where systemDup2(file.descriptor, stream) < 0 { throw FileError(path) }
  }
}
