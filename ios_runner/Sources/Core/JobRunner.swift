/// Runs one job from request to reply: checks the artifact, starts the runtime, loads, and runs the passes in order.
///
/// Every outcome becomes a reply, which keeps what was measured before a failure. The memory pass releases the model to
/// measure what is left. So the passes after it load the file again, which also gives a warm load time.
public struct JobRunner {
  private let adapters: [any RuntimeAdapter]
  private let info: RunReply.Runner
  private let state: any StateSource
  private let trusted: TrustedKey?
  private let keystore: (any Keystore)?

  /// A runner that runs any artifact if `trusted` is nil, otherwise only what this key has signed. It decrypts
  /// artifacts with the key in `keystore`, if there is one.
  public init(
    adapters: [any RuntimeAdapter], info: RunReply.Runner, state: any StateSource, trusted: TrustedKey? = nil,
    keystore: (any Keystore)? = nil
  ) {
    self.adapters = adapters
    self.info = info
    self.state = state
    self.trusted = trusted
    self.keystore = keystore
  }

  /// Run the job. It writes `outputs.bin`, but leaves `reply.json` to the caller.
  ///
  /// Once everything is measured, what is left only looks at the delegate and at single operators, in a second session.
  /// A runtime may crash there, so what was measured is handed to `interim` before.
  public func run(_ place: JobPlace, interim: (RunReply) -> Void) -> RunReply {
    var text: [UInt8] = []
    let request: RunRequest
    do {
      text = try place.requestText()
      request = try RequestReader.read(text)
    } catch {
      return unreadable(RequestReader.head(text), error)
    }
    let before = state.sample()
    let watch = StateWatch(state)
    let launch = Launch(place: place, request: request, adapters: adapters)
    let failure = attempt(launch) {
      let states = RunReply.States(before: before, after: state.sample(), series: [])
      var kept = reply(request, nil, launch, states)
      // Only the last reply states the key: from it the host learns that no plain file is left.
      kept.encryptionKey = nil
      interim(kept)
    }
    let series = watch.stop()
    let states = RunReply.States(before: before, after: state.sample(), series: series)
    return reply(request, failure, launch, states)
  }

  /// Run everything, remove what must not stay, and return the failure that ended it, or nil.
  private func attempt(_ launch: Launch, keep: () -> Void) -> RunFailure? {
    let failure = measure(launch, keep: keep)
    launch.release()
    launch.forget()
    return failure ?? launch.leftover
  }

  private func measure(_ launch: Launch, keep: () -> Void) -> RunFailure? {
    do {
      // First, because the reply states the key even if it says nothing else.
      if launch.isEncrypted { launch.recipient = try recipient() }
      try launch.run(trusted: trusted, keep: keep)
      return nil
    } catch let failure as RunFailure {
      return failure
    } catch let error as FileError {
      return .failed(.storage, "cannot use '\(error.path)': \(error.reason)", detail: error.description)
    } catch {
      return .failed(.run, "the runner failed: \(error)", detail: String(reflecting: error))
    }
  }

  private func recipient() throws -> RecipientKey {
    guard let keystore else { throw RunFailure.unsupported(.digest, "this runner has no keystore") }
    return try RecipientKey(keystore)
  }

  private func reply(
    _ request: RunRequest, _ failure: RunFailure?, _ launch: Launch, _ states: RunReply.States
  ) -> RunReply {
    let status: RunReply.Status = failure.map { $0.unsupported ? .unsupported : .failed } ?? .ok
    let record = failure.map { RunReply.Failure(kind: $0.kind, message: $0.message, detail: $0.detail) }
    return RunReply(
      cell: request.cell, launch: request.launch, status: status, runner: info, failure: record,
      results: launch.results, state: states, encryptionKey: launch.recipient?.described)
  }

  private func unreadable(_ head: RequestReader.Head, _ error: any Error) -> RunReply {
    let failure = RunReply.Failure(
      kind: .input, message: "cannot read \(JobPlace.request): \(error)", detail: String(reflecting: error))
    return RunReply(
      cell: head.cell, launch: head.launch, status: .failed, runner: info, failure: failure,
      results: RunReply.Results(), state: nil)
  }
}

/// The steps of one launch, and what they have measured so far.
private final class Launch {
  private let place: JobPlace
  private let request: RunRequest
  private let adapters: [any RuntimeAdapter]
  private let clock = SystemClock()
  private var measured = RunReply.Results()
  private var loadsNs: [Int] = []
  private var latency: LatencyPass<SystemClock>?
  private var idle: RunReply.EnergyBlock?
  private var session: (any Session)?
  private var specs: [TensorSpec]?
  private var files: ArtifactFiles?
  private var checked: String?
  private var prepared: String?
  /// The key that the artifact may be encrypted for.
  var recipient: RecipientKey?

  init(place: JobPlace, request: RunRequest, adapters: [any RuntimeAdapter]) {
    self.place = place
    self.request = request
    self.adapters = adapters
  }

  var isEncrypted: Bool { request.artifact.encryption != nil }

  /// What was measured so far.
  var results: RunReply.Results {
    var results = measured
    results.load = loadsNs.first.map { RunReply.Load(firstNs: $0, warmNs: Array(loadsNs.dropFirst())) }
    results.latency = latency?.reply
    results.energy = energy
    return results
  }

  func run(trusted: TrustedKey?, keep: () -> Void) throws {
    let passes = request.passes
    if let recipient, recipient.id != request.artifact.encryption?.recipient {
      throw RunFailure.failed(
        .digest,
        "the artifact '\(request.artifact.file)' is not encrypted for the key of this phone: encrypt it for the key in "
          + "this reply")
    }
    try trusted?.check(request.artifact)
    files = ArtifactFiles(request.artifact, in: place, copies: trusted != nil, recipient: recipient)
    // Checked, and decrypted, before anything is timed or any memory is read.
    checked = try files?.open()
    let inputs = try JobInputs.checked(place, request)
    let adapter = try adapter()
    try adapter.start(request.runtime)
    _ = try ready(adapter)
    // Make the latency buffers before the first memory reading, or they would count as the model's memory.
    let pass = try passes.latency.map { try LatencyPass($0, clock: clock, scratch: place.folder) }
    var memory = passes.memory == nil ? nil : try MemoryPass(clock: clock)
    let session = try load(adapter)
    try memory?.loaded()
    measured.runtime = session.report
    try session.setInputs(inputs.forModel(0, session.inputs))
    // Report again: inputs fix open dimensions, after which a delegate may take other nodes.
    measured.runtime = session.report
    latency = pass
    idle = passes.energy.map(idleBlock)
    try pass?.run(session)
    if let request = passes.memory { measured.memory = try memory?.finish(session, request) }
    try outputsAndProfile(adapter, inputs, keep)
  }

  /// Wait, so that the device draws what it draws when it does nothing.
  private func idleBlock(_ request: RunRequest.Energy) -> RunReply.EnergyBlock {
    clock.sleep(request.settleNs)
    let began = clock.nanos()
    clock.sleep(request.idleNs)
    return RunReply.EnergyBlock(kind: "idle", beganNs: began, endedNs: clock.nanos(), calls: 0)
  }

  private var energy: RunReply.Energy? {
    guard let idle else { return nil }
    return RunReply.Energy(
      blocks: [idle] + (latency?.load.map { [$0] } ?? []), wallOffsetNs: clock.wallNanos() - clock.nanos())
  }

  private func outputsAndProfile(_ adapter: any RuntimeAdapter, _ inputs: JobInputs, _ keep: () -> Void) throws {
    let passes = request.passes
    if let outputs = passes.outputs {
      if passes.memory != nil { try load(adapter) }
      measured.outputs = try JobOutputs.write(place.folder, session!, inputs, count: outputs.count)
    }
    let looks = request.runtime.delegate != .cpu && passes.latency != nil
    guard looks || passes.profile != nil else { return }
    keep()
    // In the model's order, which only a loaded model knows.
    let first = try inputs.forModel(0, specs)
    release()
    if looks, let report = measured.runtime {
      let artifact = try ready(adapter)
      defer { forget() }
      // A runtime that fails here costs nothing of what was measured: the counts stay nil, which means unknown.
      measured.runtime =
        (try? adapter.observed(artifact, request.runtime, first, scratch: place.folder, report: report)) ?? report
    }
    if let profile = passes.profile {
      let artifact = try ready(adapter)
      defer { forget() }
      let profiled = try adapter.profile(
        artifact, request.runtime, first, calls: profile.calls, scratch: place.folder)
      measured.profile = profiled.operators
      measured.profileFacts = profiled.facts
    }
  }

  @discardableResult
  private func load(_ adapter: any RuntimeAdapter) throws -> any Session {
    release()
    let artifact = try ready(adapter)
    defer { forget() }
    let start = clock.nanos()
    let loaded = try adapter.load(artifact, request.runtime)
    loadsNs.append(clock.nanos() - start)
    session = loaded
    specs = loaded.inputs
    return loaded
  }

  func release() {
    session?.close()
    session = nil
  }

  /// The path to load. What must not stay after a load is made available again, which is not part of any timed load.
  private func ready(_ adapter: any RuntimeAdapter) throws -> String {
    guard let files else { preconditionFailure("the files are opened first") }
    if let prepared { return prepared }
    let file = try checked ?? files.open()
    let path = try adapter.prepared(file, scratch: files.scratch)
    (checked, prepared) = (file, path)
    return path
  }

  /// Remove what must not stay. A runtime that has loaded it needs it no more.
  func forget() {
    guard let files, files.mustClose else { return }
    files.close()
    (checked, prepared) = (nil, nil)
  }

  /// The failure of a launch whose plain files could not be removed, nil if they were.
  var leftover: RunFailure? {
    guard let files, files.mustClose, Files.exists(place.privateFolder) else { return nil }
    return .failed(
      .storage, "cannot delete the decrypted files of the artifact '\(request.artifact.file)'",
      detail: place.privateFolder)
  }

  private func adapter() throws -> any RuntimeAdapter {
    let format = request.artifact.format
    if let adapter = adapters.first(where: { $0.format == format }) { return adapter }
    let formats = adapters.map(\.format).joined(separator: ", ")
    throw RunFailure.unsupported(.load, "this runner has no runtime for \(format) (it has those for: \(formats))")
  }
}
