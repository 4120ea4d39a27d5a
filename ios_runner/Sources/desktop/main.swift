// The runner on a Linux computer: the same core and adapters as in the app. The exit code is 0 whenever a reply was
// written, even one that reports a failure.

import Adapters
import Core
import Glibc

let usage = """
  usage: desktop --documents FOLDER --job NAME --inputs SHA256 [--libraries FOLDER] [--kind KIND] [--version VERSION]
    [--key FILE] [--private FOLDER] [--temporary FOLDER] [--keystore FILE]
  """
let usageCode: Int32 = 2

func complain(_ message: String) {
  try? File(descriptor: 2).write(text: "\(message)\n")
}

func refuse(_ message: String) -> Never {
  complain("\(message)\n\(usage)")
  exit(usageCode)
}

func launch(_ arguments: [String]) throws {
  let allowed = ["documents", "libraries", "kind", "version", "key", "private", "temporary", "keystore"]
  guard let read = try LaunchArguments.read(arguments, allowing: allowed) else { refuse("--job is missing") }
  guard let documents = read.others["documents"] else { refuse("--documents is missing") }
  let info = RunReply.Runner(
    kind: read.others["kind"] ?? "ios-desktop", version: read.others["version"] ?? "unbuilt", debuggable: false)
  let adapters = portableAdapters(Libraries(folder: read.others["libraries"] ?? "."))
  let runner = JobRunner(
    adapters: adapters, info: info, state: LinuxState(), trusted: try key(read.others["key"]),
    keystore: read.others["keystore"].map { OpenSslKeystore(file: $0) })
  let job = LaunchedJob(
    read, documents: documents, privately: read.others["private"], temporary: read.others["temporary"], runner: runner)
  try Files.makeFolder(job.place.folder)
  try Log.redirect(to: "\(job.place.folder)/log.txt")
  try job.run()
}

/// The key in the file `path`, a PEM file or the text of an app's Info.plist; nil without one.
func key(_ path: String?) throws -> TrustedKey? {
  guard let path else { return nil }
  return TrustedKey(String(decoding: try Files.bytes(of: path), as: UTF8.self), with: OpenSslKey.init)
}

do {
  try launch(Array(CommandLine.arguments.dropFirst()))
} catch let error as RequestError {
  refuse(error.description)
} catch {
  complain("cannot write the reply: \(error)")
  exit(1)
}
