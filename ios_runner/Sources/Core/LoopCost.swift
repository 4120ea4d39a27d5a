/// What the loop of the latency pass costs beside the call that it times.
public struct LoopCost {
  public let calls: Int
  /// The median of the samples, in ns: for a call that does nothing, what the loop adds to every sample.
  public let medianNs: Int
  /// The time of the whole phase per call, in ns.
  public let perCallNs: Double
  /// Allocations of the process between the first and the last measured call.
  public let allocations: UInt64

  /// Time `calls` calls of `session`, whose inputs are set. `count` says how many allocations there were so far.
  public static func measure(_ session: any Session, calls: Int, scratch: String, count: () -> UInt64) throws
    -> LoopCost
  {
    let clock = SystemClock()
    let none = RunRequest.Limits(minCalls: 0, minNs: 0, maxNs: Int.max)
    let all = RunRequest.Limits(minCalls: calls, minNs: 0, maxNs: Int.max)
    let request = RunRequest.Latency(warmup: none, measure: all, intervalNs: 0, strideNs: 0)
    let pass = try LatencyPass(request, clock: clock, scratch: scratch)
    let before = count()
    let start = clock.nanos()
    try pass.run(session)
    let elapsed = clock.nanos() - start
    let allocations = count() - before
    let samples = pass.reply?.samplesNs ?? []
    return LoopCost(
      calls: samples.count, medianNs: median(samples), perCallNs: Double(elapsed) / Double(samples.count + 1),
      allocations: allocations)
  }
}
