/// The latency pass: single calls on input 0, each timed separately, with every sample kept.
///
/// Nothing but the call happens between the two readings of the clock. The buffers are made at the start, before any
/// memory is measured, and grow only between calls. It is generic over the clock so that reading it costs no dispatch.
final class LatencyPass<TheClock: Clock> {
  private let request: RunRequest.Latency
  private let clock: TheClock
  private let warmup: Samples
  private let measured: Samples
  private let moments: Samples
  private var firstNs = 0
  private var beganNs: Int?
  private var endedNs = 0
  private var calls = 0

  init(_ request: RunRequest.Latency, clock: TheClock, scratch: String) throws {
    self.request = request
    self.clock = clock
    warmup = try Samples(scratch: scratch)
    measured = try Samples(scratch: scratch)
    moments = try Samples(scratch: scratch)
  }

  /// Time the first call, the warm-up and the measured calls. `measure.maxNs` limits each of the two phases.
  func run(_ session: any Session) throws {
    let start = clock.nanos()
    try session.invoke()
    firstNs = clock.nanos() - start
    if request.warmup.minCalls > 0 || request.warmup.minNs > 0 {
      _ = try calls(session, request.warmup, warmup)
    }
    beganNs = clock.nanos()
    calls =
      request.strideNs > 0
      ? try strided(session, request.measure) : try calls(session, request.measure, measured)
    endedNs = clock.nanos()
  }

  /// The measured calls as a block of energy; nil before they have ended.
  var load: RunReply.EnergyBlock? {
    guard let beganNs, endedNs > 0 else { return nil }
    return RunReply.EnergyBlock(kind: "load", beganNs: beganNs, endedNs: endedNs, calls: calls)
  }

  /// The record for the reply. It copies the samples, so ask for it only after all memory has been measured.
  var reply: RunReply.Latency? {
    guard firstNs > 0 else { return nil }
    return RunReply.Latency(
      firstNs: firstNs, warmupNs: warmup.values, samplesNs: measured.values, atNs: moments.values, beganNs: beganNs)
  }

  /// Time calls and keep them all; return how many they were.
  private func calls(_ session: any Session, _ limits: RunRequest.Limits, _ samples: Samples) throws -> Int {
    let intervalNs = request.intervalNs
    let began = clock.nanos()
    var calls = 0
    while true {
      let start = clock.nanos()
      try session.invoke()
      let end = clock.nanos()
      try samples.append(end - start)
      calls += 1
      if met(limits, calls, end - began) { return calls }
      if intervalNs > 0 { clock.sleep(intervalNs) }
    }
  }

  /// Time calls back to back, keep each that begins at least one stride after the last one kept, and count all.
  private func strided(_ session: any Session, _ limits: RunRequest.Limits) throws -> Int {
    let began = clock.nanos()
    var due = 0
    var calls = 0
    while true {
      let start = clock.nanos()
      try session.invoke()
      let end = clock.nanos()
      if start - began >= due {
        try measured.append(end - start)
        try moments.append(start - began)
        due = start - began + request.strideNs
      }
      calls += 1
      if met(limits, calls, end - began) { return calls }
    }
  }

  private func met(_ limits: RunRequest.Limits, _ calls: Int, _ elapsedNs: Int) -> Bool {
    (calls >= limits.minCalls && elapsedNs >= limits.minNs) || elapsedNs >= limits.maxNs
  }
}
