/// Writes a `RunReply` as `reply.json`.
public enum ReplyWriter {
  static let file = "reply.json"

  /// Write the reply atomically, so that no partial file is ever visible: temporary name, fsync, rename.
  public static func write(_ folder: String, _ reply: RunReply) throws {
    let temporary = "\(folder)/\(file).tmp"
    let out = try File(writing: temporary)
    var json = JsonText { try out.write($0) }
    try write(&json, reply)
    try json.flush()
    try out.sync()
    try Files.move(temporary, to: "\(folder)/\(file)")
  }

  /// Write the reply as JSON text.
  static func write(_ json: inout JsonText, _ reply: RunReply) throws {
    try json.object { json in
      json.field("schema", RunRequest.schema)
      json.field("cell", reply.cell)
      json.field("launch", reply.launch)
      json.field("status", reply.status.rawValue)
      try json.field("runner", reply.runner) { json, runner in
        json.field("kind", runner.kind)
        json.field("version", runner.version)
        json.field("debuggable", runner.debuggable)
      }
      try json.field("failure", reply.failure) { json, failure in
        json.field("kind", failure.kind.rawValue)
        json.field("message", failure.message)
        json.field("detail", failure.detail)
      }
      try results(&json, reply.results)
      try json.field("state", reply.state, states)
      if let key = reply.encryptionKey {
        try json.field("encryption_key", key) { json, key in
          json.field("algorithm", key.algorithm)
          json.field("public_key", key.publicKey)
        }
      }
    }
  }

  private static func results(_ json: inout JsonText, _ results: RunReply.Results) throws {
    try json.field("runtime", results.runtime, runtime)
    try json.field("load", results.load) { json, load in
      json.field("first_ns", load.firstNs)
      try json.field("warm_ns", load.warmNs)
    }
    try json.field("latency", results.latency) { json, latency in
      json.field("first_ns", latency.firstNs)
      try json.field("warmup_ns", latency.warmupNs)
      try json.field("samples_ns", latency.samplesNs)
      try json.field("at_ns", latency.atNs)
      if let began = latency.beganNs { json.field("began_ns", began) }
    }
    try json.field("memory", results.memory, memory)
    try json.field("outputs", results.outputs) { json, outputs in
      json.field("file", outputs.file)
      json.field("count", outputs.count)
      try json.list("tensors", outputs.tensors) { json, spec in
        try json.object { json in
          json.field("name", spec.name)
          json.field("dtype", spec.dtype.rawValue)
          try json.field("shape", spec.shape)
        }
      }
    }
    try json.list("profile", results.profile, operatorTime)
    if let facts = results.profileFacts {
      try json.field("profile_facts", facts) { json, facts in
        json.field("source", facts.source)
        try json.field("calls_ns", facts.callsNs)
        json.field("reason", facts.reason)
      }
    }
    if let energy = results.energy { try json.field("energy", energy, energyFacts) }
  }

  private static func energyFacts(_ json: inout JsonText, _ energy: RunReply.Energy) throws {
    try json.list("blocks", energy.blocks) { json, block in
      json.object { json in
        json.field("kind", block.kind)
        json.field("began_ns", block.beganNs)
        json.field("ended_ns", block.endedNs)
        json.field("calls", block.calls)
      }
    }
    json.field("wall_offset_ns", energy.wallOffsetNs)
  }

  private static func runtime(_ json: inout JsonText, _ runtime: RunReply.Runtime) throws {
    json.field("name", runtime.name)
    json.field("version", runtime.version)
    json.field("delegate_requested", runtime.delegateRequested.rawValue)
    json.field("delegate_used", runtime.delegateUsed)
    json.field("threads", runtime.threads)
    json.field("nodes_total", runtime.nodesTotal)
    json.field("nodes_delegated", runtime.nodesDelegated)
    json.field("partitions", runtime.partitions)
    if let name = runtime.accelerator {
      try json.field("accelerator", name) { json, name in json.field("name", name) }
    }
    if !runtime.nodesLeft.isEmpty {
      try json.list("nodes_left", runtime.nodesLeft) { json, left in
        json.object { json in
          json.field("kind", left.kind)
          json.field("nodes", left.nodes)
          json.field("reason", left.reason)
        }
      }
    }
  }

  private static func memory(_ json: inout JsonText, _ memory: RunReply.Memory) throws {
    json.field("definition", memory.definition)
    json.field("baseline_bytes", memory.baselineBytes)
    json.field("loaded_bytes", memory.loadedBytes)
    json.field("steady_bytes", memory.steadyBytes)
    json.field("peak_bytes", memory.peakBytes)
    json.field("retained_bytes", memory.retainedBytes)
    json.field("mapped_bytes", memory.mappedBytes)
    try json.list("split", memory.split) { json, split in
      json.object { json in
        json.field("at", split.at)
        json.field("anonymous_bytes", split.anonymousBytes)
        json.field("file_bytes", split.fileBytes)
        json.field("shared_bytes", split.sharedBytes)
        json.field("swap_bytes", split.swapBytes)
        json.field("pss_bytes", split.pssBytes)
      }
    }
  }

  private static func operatorTime(_ json: inout JsonText, _ time: RunReply.OperatorTime) throws {
    try json.object { json in
      json.field("name", time.name)
      json.field("kind", time.kind)
      try json.field("samples_ns", time.samplesNs)
      if !time.ranOn.isEmpty { json.field("ran_on", time.ranOn) }
      if !time.reason.isEmpty { json.field("reason", time.reason) }
      if time.nodes != 1 { json.field("nodes", time.nodes) }
    }
  }

  private static func states(_ json: inout JsonText, _ states: RunReply.States) throws {
    try json.field("before", states.before, sample)
    try json.field("after", states.after, sample)
    try json.list("series", states.series) { json, state in
      try json.object { try sample(&$0, state) }
    }
  }

  private static func sample(_ json: inout JsonText, _ sample: RunReply.StateSample) throws {
    json.field("at_ns", sample.atNs)
    json.field("thermal_status", sample.thermalStatus)
    if let low = sample.lowPowerMode { json.field("low_power_mode", low) }
    try json.field("temperatures_c", sample.temperaturesC) { json, temperatures in
      for (name, value) in temperatures.sorted(by: { $0.key < $1.key }) { json.field(name, value) }
    }
    try json.field("cpu_khz", sample.cpuKhz)
    json.field("governor", sample.governor)
    json.field("load_1m", sample.load1m)
    json.field("available_bytes", sample.availableBytes)
    json.field("battery_percent", sample.batteryPercent)
    json.field("charging", sample.charging)
  }
}
