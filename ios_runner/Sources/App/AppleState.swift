import Core
import Foundation
import UIKit

/// The state of the phone as an app can see it: heat, low power mode, battery, and the memory that is left to the app.
///
/// Thermal states are in Android's words, which the wire has for every phone.
final class AppleState: StateSource, @unchecked Sendable {
  // UIKit's battery belongs to the main thread, where these are written.
  private let lock = NSLock()
  private var percent: Double?
  private var charging: Bool?

  @MainActor
  init() {
    UIDevice.current.isBatteryMonitoringEnabled = true
    readBattery()
    _ = Timer.scheduledTimer(withTimeInterval: 1, repeats: true) { [weak self] _ in
      MainActor.assumeIsolated { self?.readBattery() }
    }
  }

  func sample() -> RunReply.StateSample {
    var sample = RunReply.StateSample(atNs: SystemClock().nanos())
    sample.thermalStatus = AppleState.word(ProcessInfo.processInfo.thermalState)
    sample.lowPowerMode = ProcessInfo.processInfo.isLowPowerModeEnabled
    sample.availableBytes = SystemMemory.available
    lock.withLock { (sample.batteryPercent, sample.charging) = (percent, charging) }
    return sample
  }

  @MainActor
  private func readBattery() {
    let device = UIDevice.current
    let level = device.batteryLevel
    let state = device.batteryState
    lock.withLock {
      // The level is -1 where it is unknown, as in the simulator.
      percent = level < 0 ? nil : Double((level * 100).rounded())
      charging = state == .unknown ? nil : state != .unplugged
    }
  }

  private static func word(_ state: ProcessInfo.ThermalState) -> String {
    switch state {
    case .nominal: "none"
    case .fair: "light"
    case .serious: "severe"
    case .critical: "critical"
    @unknown default: "severe"
    }
  }
}
