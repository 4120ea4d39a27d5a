/// Where the files of one job are, below the folder that the host can reach (`Documents` of an app).
public struct JobPlace: Sendable {
  static let request = "request.json"

  /// The job's own folder, to which the reply, the outputs and the log are written.
  public let folder: String
  /// A folder that only the app itself writes to, empty unless a launch is running.
  public let privateFolder: String
  private let store: String
  private let inputsSha256: String

  /// The place of the job `job` whose inputs have the digest `inputs`. `privately` is the private folder; without one
  /// it is beside the jobs, which suits only a computer that trusts all its programs.
  public init(documents: String, job: String, inputs: String, privately: String? = nil) {
    let root = "\(documents)/phonebench"
    privateFolder = privately ?? "\(root)/private"
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
    let name = "\(folder)/\(part.file)"
    try checked(part) {
      let source = try Files.absolute("\(store)/\(part.sha256)")
      let sha256 = try Digest.ofFile(source)
      try Files.link(name, to: source)
      return sha256
    }
    return name
  }

  /// Copy a file of the artifact to its own name in the private folder, and return that path: whoever may write to the
  /// store could replace a file there after its digest was checked. Throws as `named` does, and `FileError`.
  func copied(_ part: RunRequest.Part) throws -> String {
    try Files.makeFolder(privateFolder, mode: 0o700)
    let name = "\(privateFolder)/\(part.file)"
    let copy = try File(writing: name, mode: 0o600)
    try checked(part) { try Digest.ofFile("\(store)/\(part.sha256)", copyingTo: copy) }
    return name
  }

  /// Decrypt a file that the store has under `sha256` to its own name in the private folder, and return that path.
  /// Throws as `copied` does, and `StreamDecryption.Damaged`.
  func decrypted(_ part: RunRequest.Part, from sha256: String, _ stream: StreamDecryption) throws -> String {
    try Files.makeFolder(privateFolder, mode: 0o700)
    let name = "\(privateFolder)/\(part.file)"
    let plain = try File(writing: name, mode: 0o600)
    try checked(part) {
      var digest = Digest()
      try stream.decrypt("\(store)/\(sha256)") { piece in
        digest.update(piece)
        try plain.write(piece)
      }
      return digest.text()
    }
    return name
  }

  /// Throw a failure `digest` unless `digest` is that of the requested file. A disk that is full is another failure.
  private func checked(_ part: RunRequest.Part, _ digest: () throws -> String) throws {
    let sha256: String
    do {
      sha256 = try digest()
    } catch let error as FileError where !error.path.hasPrefix(privateFolder) {
      throw RunFailure.failed(
        .digest, "cannot read the artifact '\(part.file)': \(error.reason); deploy it again",
        detail: error.description)
    }
    guard sha256 == part.sha256 else {
      throw RunFailure.failed(
        .digest,
        "the artifact '\(part.file)' has sha256 \(sha256); the request expects \(part.sha256): deploy it again")
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
