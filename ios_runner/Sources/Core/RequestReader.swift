/// Reads the text of `request.json`. Unknown keys are ignored.
public enum RequestReader {
  /// The cell and the launch of a possibly broken request, as far as they can be read.
  public struct Head: Equatable, Sendable {
    public let cell: String
    public let launch: Int
  }

  public static func read(_ text: [UInt8]) throws -> RunRequest {
    let root = try Fields(Json.parse(text))
    let schema = try root.integer("schema")
    guard schema == RunRequest.schema else {
      throw RequestError(
        "the request has schema \(schema), but this runner reads schema \(RunRequest.schema): "
          + "use the same version on both sides")
    }
    return RunRequest(
      cell: try root.text("cell"), launch: try root.count("launch", least: 0),
      artifact: try artifact(root.fields("artifact")), runtime: try runtime(root.fields("runtime")),
      inputs: try inputs(root.fields("inputs")), passes: try passes(root.fields("passes")))
  }

  public static func head(_ text: [UInt8]) -> Head {
    guard let root = try? Fields(Json.parse(text)) else { return Head(cell: "", launch: 0) }
    return Head(cell: (try? root.text("cell")) ?? "", launch: (try? root.count("launch", least: 0)) ?? 0)
  }

  private static func artifact(_ fields: Fields) throws -> RunRequest.Artifact {
    let companions = fields.lacks("companions") ? [] : try fields.list("companions")
    return RunRequest.Artifact(
      file: try plainName(fields, "file"), sha256: try digest(fields, "sha256"), format: try fields.text("format"),
      companions: try companions.map {
        RunRequest.Part(file: try plainName($0, "file"), sha256: try digest($0, "sha256"))
      }, signature: fields.lacks("signature") ? "" : try fields.text("signature"),
      encryption: try fields.fieldsIfPresent("encryption").map { try encryption($0, parts: 1 + companions.count) })
  }

  /// Without a recipient, the request only asks for the runner's key.
  private static func encryption(_ fields: Fields, parts: Int) throws -> RunRequest.Encryption {
    guard !fields.lacks("recipient"), try !fields.text("recipient").isEmpty else {
      return RunRequest.Encryption(recipient: "", files: [])
    }
    let files = try fields.list("files").map {
      RunRequest.EncryptedFile(sha256: try digest($0, "sha256"), key: try $0.bytes("key"))
    }
    guard files.count == parts else {
      throw fields.wrong("files", "a list with the artifact and its companions, \(parts) in all")
    }
    return RunRequest.Encryption(recipient: try digest(fields, "recipient"), files: files)
  }

  private static func runtime(_ fields: Fields) throws -> RunRequest.Runtime {
    RunRequest.Runtime(
      delegate: try fields.oneOf("delegate"), threads: try fields.count("threads", least: 1),
      options: try fields.texts("options"))
  }

  private static func inputs(_ fields: Fields) throws -> RunRequest.Inputs {
    let tensors = try fields.list("tensors").map {
      TensorSpec(name: try $0.text("name"), dtype: try $0.oneOf("dtype"), shape: try $0.sizes("shape"))
    }
    let unknown = try fields.lacks("sha256") || fields.text("sha256").isEmpty
    return RunRequest.Inputs(
      file: try plainName(fields, "file"), count: try fields.count("count", least: 1), tensors: tensors,
      sha256: unknown ? nil : try digest(fields, "sha256"))
  }

  private static func passes(_ fields: Fields) throws -> RunRequest.Passes {
    RunRequest.Passes(
      latency: try fields.fieldsIfPresent("latency").map(latency),
      memory: try fields.fieldsIfPresent("memory").map {
        RunRequest.Memory(calls: try $0.count("calls", least: 0), settleNs: try $0.durationOrZero("settle_ns"))
      },
      outputs: try fields.fieldsIfPresent("outputs").map {
        RunRequest.Outputs(count: try $0.count("count", least: 0))
      },
      profile: try fields.fieldsIfPresent("profile").map {
        RunRequest.Profile(calls: try $0.count("calls", least: 0))
      },
      energy: try fields.fieldsIfPresent("energy").map {
        RunRequest.Energy(idleNs: try $0.duration("idle_ns"), settleNs: try $0.durationOrZero("settle_ns"))
      })
  }

  private static func latency(_ fields: Fields) throws -> RunRequest.Latency {
    let measure = try fields.fields("measure")
    let maxNs = try measure.duration("max_ns")
    return RunRequest.Latency(
      warmup: try limits(fields.fields("warmup"), maxNs: maxNs), measure: try limits(measure, maxNs: maxNs),
      intervalNs: try fields.durationOrZero("interval_ns"), strideNs: try fields.durationOrZero("stride_ns"))
  }

  /// The time limit of the measured calls also applies to the warm-up.
  private static func limits(_ fields: Fields, maxNs: Int) throws -> RunRequest.Limits {
    RunRequest.Limits(
      minCalls: try fields.integer("min_calls"), minNs: try fields.duration("min_ns"), maxNs: maxNs)
  }

  /// A file name in the job's folder. A name that leads out of the folder is refused.
  private static func plainName(_ fields: Fields, _ key: String) throws -> String {
    let name = try fields.text(key)
    guard !name.isEmpty, name != ".", name != "..", !name.contains("/"), !name.contains("\0") else {
      throw fields.wrong(key, "a plain file name")
    }
    return name
  }

  private static func digest(_ fields: Fields, _ key: String) throws -> String {
    let text = try fields.text(key)
    guard Digest.isOne(text) else { throw fields.wrong(key, "64 lower-case hexadecimal digits") }
    return text
  }
}
