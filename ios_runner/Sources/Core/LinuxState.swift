import CProbe

/// Reads load, free memory, clocks and temperatures from `/proc` and `/sys` below `root`.
public struct LinuxState: StateSource {
  private let root: String

  public init(root: String = "") {
    self.root = root
  }

  public func sample() -> RunReply.StateSample {
    var sample = RunReply.StateSample(atNs: Int(pb_nanos()))
    let processors = numbered("\(root)/sys/devices/system/cpu", "cpu")
    sample.temperaturesC = temperatures()
    sample.cpuKhz = processors.compactMap { integer("\($0)/cpufreq/scaling_cur_freq") }
    sample.governor = processors.first.flatMap { Files.text(of: "\($0)/cpufreq/scaling_governor") }
    sample.load1m = Files.text(of: "\(root)/proc/loadavg").flatMap { $0.split(separator: " ").first }.flatMap {
      Double($0)
    }
    sample.availableBytes = SystemMemory.available
    return sample
  }

  /// Temperatures in °C by the type of the thermal zone. A repeated type gets the zone's name as a suffix.
  private func temperatures() -> [String: Double] {
    var temperatures: [String: Double] = [:]
    for zone in numbered("\(root)/sys/class/thermal", "thermal_zone") {
      guard let value = integer("\(zone)/temp") else { continue }
      let name = zone.split(separator: "/").last.map(String.init) ?? zone
      let type = Files.text(of: "\(zone)/type").flatMap { $0.isEmpty ? nil : $0 } ?? name
      // The kernel reports thousandths of a degree.
      temperatures[temperatures[type] == nil ? type : "\(type)-\(name)"] = Double(value) / 1000
    }
    return temperatures
  }

  private func integer(_ path: String) -> Int? {
    Files.text(of: path).flatMap { Int($0) }
  }

  /// The entries of `folder` whose names are `prefix` and a number, in numerical order.
  private func numbered(_ folder: String, _ prefix: String) -> [String] {
    let entries = Files.names(in: folder).compactMap { name -> (number: Int, name: String)? in
      guard name.hasPrefix(prefix), let number = Int(name.dropFirst(prefix.count)) else { return nil }
      return (number, name)
    }
    return entries.sorted { $0.number < $1.number }.map { "\(folder)/\($0.name)" }
  }
}

/// The memory of the system as this process sees it.
public enum SystemMemory {
  /// Bytes that this process may still take (iOS), or that the system has free (Linux); nil if not reported.
  public static var available: Int? {
    let bytes = pb_available_bytes()
    return bytes < 0 ? nil : Int(bytes)
  }
}
