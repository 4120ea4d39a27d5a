import Dispatch

/// Reads the current state of the device. It never fails; facts that cannot be read are nil.
public protocol StateSource: Sendable {
  func sample() -> RunReply.StateSample
}

/// Samples the state of the device once per second on a queue of its own, until it is stopped.
final class StateWatch: @unchecked Sendable {
  // The series is only touched on this queue.
  private let queue = DispatchQueue(label: "org.phonebench.state")
  private let timer: any DispatchSourceTimer
  private var series: [RunReply.StateSample] = []

  init(_ source: any StateSource, periodMs: Int = 1000) {
    timer = DispatchSource.makeTimerSource(queue: queue)
    timer.schedule(deadline: .now() + .milliseconds(periodMs), repeating: .milliseconds(periodMs))
    timer.setEventHandler { [weak self] in
      self?.series.append(source.sample())
    }
    timer.resume()
  }

  /// How many samples there are.
  var count: Int { queue.sync { series.count } }

  /// Stop sampling and return what was sampled.
  func stop() -> [RunReply.StateSample] {
    timer.cancel()
    return queue.sync { series }
  }
}
