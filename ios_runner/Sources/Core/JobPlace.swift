/// Where the files of one job are, below the folder that the host can reach (`Documents` of an app).
public struct JobPlace: Sendable {
  static let request = "request.json"

  /// The job's own folder, to which the reply, the outputs and the log are written.
  public let folder: String
  private let store: String
  private let inputsSha256: String

  /// The place of the job `job` whose inputs have the digest `inputs`.
  public init(documents: String, job: String, inputs: String) {
    let root = "\(documents)/phonebench"
    folder = "\(root)/jobs/\(job)"
    store = "\(root)/store"
    inputsSha256 = inputs
  }

  /// The text of the request. Throws `FileError`.
  func requestText() throws -> [UInt8] {
    try Files.bytes(of: "\(folder)/\(JobPlace.request)")
  }

  /// Give a file of the artifact its own name in the job's folder, by which its companions refer to each other, and
  /// return that path. Throws a failure `digest` if the file is missing or not the requested one.
  func named(_ part: RunRequest.Part) throws -> String {
    do {
      let source = try Files.absolute("\(store)/\(part.sha256)")
      let sha256 = try Digest.ofFile(source)
      guard sha256 == part.sha256 else {
        throw RunFailure.failed(
          .digest,
          "the artifact '\(part.file)' has sha256 \(sha256); the request expects \(part.sha256): deploy it again")
      }
      let name = "\(folder)/\(part.file)"
      try Files.link(name, to: source)
      return name
    } catch let error as FileError {
      throw RunFailure.failed(
        .digest, "cannot read the artifact '\(part.file)': \(error.reason); deploy it again",
        detail: error.description)
    }
  }

  /// Where the inputs are, under their name in the job's folder, after checking both digests that are expected.
  func namedInputs(_ inputs: RunRequest.Inputs) throws -> String {
    let source = try Files.absolute("\(store)/\(inputsSha256)")
    let sha256 = try Digest.ofFile(source)
    for expected in [inputsSha256, inputs.sha256 ?? inputsSha256] where expected != sha256 {
      throw RunFailure.failed(
        .input, "the inputs '\(inputs.file)' have sha256 \(sha256), but \(expected) is expected: push them again")
    }
    let name = "\(folder)/\(inputs.file)"
    try Files.link(name, to: source)
    return name
  }
}
