import CProbe

/// A monotonic clock in ns, and sleeping by it. A protocol, so that tests can control time.
protocol Clock {
  func nanos() -> Int
  func sleep(_ nanos: Int)
}

/// The clock of the system.
public struct SystemClock: Clock, Sendable {
  public init() {}

  @inline(__always)
  public func nanos() -> Int { Int(pb_nanos()) }

  /// The time of day, since 1970.
  public func wallNanos() -> Int { Int(pb_wall_nanos()) }

  public func sleep(_ nanos: Int) { pb_sleep(Int64(nanos)) }
}
