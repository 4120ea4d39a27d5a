import XCTest

@testable import Core

/// A clock that moves only when the session or a pause moves it.
private final class SteppedClock: Clock {
  var now = 0
  var slept: [Int] = []

  func nanos() -> Int { now }

  func sleep(_ nanos: Int) {
    slept.append(nanos)
    now += nanos
  }
}

/// A session whose calls take a fixed time.
private final class SteppedSession: Session {
  let inputs: [TensorSpec]? = nil
  let clock: SteppedClock
  let callNs: Int
  var calls = 0
  var failsAt: Int?

  init(_ clock: SteppedClock, callNs: Int) {
    self.clock = clock
    self.callNs = callNs
  }

  var report: RunReply.Runtime { .init(name: "stepped", version: "1", request: .init(delegate: .cpu, threads: 1)) }

  func setInputs(_ tensors: [Tensor]) {}

  func invoke() throws {
    calls += 1
    if calls == failsAt { throw RunFailure.call("stepped", "out of luck") }
    clock.now += callNs
  }

  func outputs() -> [Tensor] { [] }

  func close() {}
}

final class LatencyPassTests: XCTestCase {
  func testBothMinimaOfAPhaseAreMet() throws {
    // Three calls for the warm-up's time, five for the measured count.
    let (reply, session) = try run(limits(1, 250), limits(5, 100), callNs: 100)
    XCTAssertEqual(reply?.firstNs, 100)
    XCTAssertEqual(reply?.warmupNs, [100, 100, 100])
    XCTAssertEqual(reply?.samplesNs, [100, 100, 100, 100, 100])
    XCTAssertEqual(session.calls, 9)
  }

  func testAWarmUpWithoutMinimaIsSkipped() throws {
    let (reply, _) = try run(limits(0, 0), limits(2, 0), callNs: 10)
    XCTAssertEqual(reply?.warmupNs, [])
    XCTAssertEqual(reply?.samplesNs, [10, 10])
  }

  func testTheCapEndsEachPhaseAfterACall() throws {
    let (reply, _) = try run(limits(100, 0, cap: 250), limits(100, 0, cap: 250), callNs: 100)
    XCTAssertEqual(reply?.warmupNs.count, 3)
    XCTAssertEqual(reply?.samplesNs.count, 3)
  }

  func testThereIsAPauseAfterEveryCallButTheLastOfAPhase() throws {
    let clock = SteppedClock()
    _ = try run(limits(2, 0), limits(3, 0), callNs: 10, interval: 5, clock: clock)
    XCTAssertEqual(clock.slept, [5, 5, 5])
  }

  func testAStrideKeepsCallsThatBeginLateEnough() throws {
    let (reply, _) = try run(limits(0, 0), limits(1, 1000), callNs: 100, stride: 250)
    XCTAssertEqual(reply?.atNs, [0, 300, 600, 900])
    XCTAssertEqual(reply?.samplesNs.count, 4)
  }

  func testWhatWasMeasuredBeforeAFailureStays() throws {
    let clock = SteppedClock()
    let session = SteppedSession(clock, callNs: 10)
    session.failsAt = 4
    let pass = try LatencyPass(
      .init(warmup: limits(0, 0), measure: limits(9, 0), intervalNs: 0, strideNs: 0), clock: clock,
      scratch: Golden.folder(for: self))
    XCTAssertThrowsError(try pass.run(session))
    XCTAssertEqual(pass.reply?.samplesNs, [10, 10])
  }

  func testMoreSamplesThanFitIntoAChunkAreKeptInOrder() throws {
    let samples = try Samples(scratch: Golden.folder(for: self))
    let count = 2 * Samples.chunk + 7
    for value in 0..<count { try samples.append(value) }
    XCTAssertEqual(samples.values, Array(0..<count))
  }

  private func limits(_ calls: Int, _ ns: Int, cap: Int = 1_000_000) -> RunRequest.Limits {
    .init(minCalls: calls, minNs: ns, maxNs: cap)
  }

  private func run(
    _ warmup: RunRequest.Limits, _ measure: RunRequest.Limits, callNs: Int, interval: Int = 0, stride: Int = 0,
    clock: SteppedClock = SteppedClock()
  ) throws -> (RunReply.Latency?, SteppedSession) {
    let session = SteppedSession(clock, callNs: callNs)
    let pass = try LatencyPass(
      .init(warmup: warmup, measure: measure, intervalNs: interval, strideNs: stride), clock: clock,
      scratch: Golden.folder(for: self))
    try pass.run(session)
    return (pass.reply, session)
  }
}
