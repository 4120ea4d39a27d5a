import CProbe

/// The memory pass: reads memory from the baseline, before the load, to what is left after the release.
struct MemoryPass {
  private let clock: any Clock
  private let baseline: pb_memory
  private let hasPeak: Bool
  private var splits: [RunReply.MemorySplit] = []
  private var loadedBytes = 0

  /// Read the baseline. The runtime has started, and no model is loaded yet.
  init(clock: any Clock) throws {
    self.clock = clock
    pb_give_back()
    baseline = try MemoryPass.read()
    hasPeak = pb_peak_begin() != 0
    splits.append(RunReply.MemorySplit("baseline", baseline))
  }

  /// Read the memory right after the load.
  mutating func loaded() throws {
    let memory = try MemoryPass.read()
    loadedBytes = Int(memory.owned)
    splits.append(RunReply.MemorySplit("loaded", memory))
  }

  /// Run the calls of the pass, release the session, and return all readings.
  mutating func finish(_ session: any Session, _ request: RunRequest.Memory) throws -> RunReply.Memory {
    var steady: [pb_memory] = []
    for _ in 0..<max(1, request.calls) {
      try session.invoke()
      steady.append(try MemoryPass.read())
    }
    let owned = steady.map { Int($0.owned) }
    // Where the system drops pages of files, resident memory grows by less than what the process owns.
    let peak = hasPeak ? positive(pb_peak_bytes(baseline.owned)).map { ([$0, loadedBytes] + owned).max()! } : nil
    splits.append(RunReply.MemorySplit("steady", steady.last!))
    session.close()
    pb_give_back()
    clock.sleep(request.settleNs)
    let retained = try MemoryPass.read()
    splits.append(RunReply.MemorySplit("retained", retained))
    return RunReply.Memory(
      definition: MemoryPass.definition, baselineBytes: Int(baseline.owned), loadedBytes: loadedBytes,
      steadyBytes: median(owned), peakBytes: peak, retainedBytes: Int(retained.owned),
      mappedBytes: baseline.file < 0 ? nil : median(steady.map { Int($0.file) }) - Int(baseline.file), split: splits)
  }

  private static func read() throws -> pb_memory {
    var memory = pb_memory()
    let code = pb_memory_read(&memory)
    guard code == 0 else {
      let reason = FileError("memory", code: code).reason
      throw RunFailure.unsupported(.run, "this device does not report the memory of a process: \(reason)")
    }
    return memory
  }
}

extension MemoryPass {
  // Stored with every result. Change it only together with what is measured.
  #if canImport(Darwin)
    static let definition =
      "owned memory of the runner app: phys_footprint of TASK_VM_INFO, in bytes, as iOS counts it against the app's "
      + "limit; clean pages mapped from files are not in it, compressed pages are, and so is memory of accelerators "
      + "that the system counts for the app. Baseline: after the runtime's start, before the load, once the heap's "
      + "free pages are given back (malloc_zone_pressure_relief). Loaded: right after the load. Steady: median between "
      + "the calls of the memory pass. Retained: after release, giving back and the settling time. Peak: "
      + "ledger_phys_footprint_peak, if it grew after the baseline; null otherwise, because the system keeps it for "
      + "the whole life of the process. Mapped, apart: the growth of external pages from the baseline to the steady "
      + "state."
  #else
    static let definition =
      "owned memory of the runner process: RssAnon + VmSwap of /proc/self/status, in bytes; pages mapped from files "
      + "(weights mapped from the artifact among them) and memory of accelerators are not in it. Baseline: after the "
      + "runtime's start, before the load, once the heap's free pages are given back (malloc_trim). Loaded: right "
      + "after the load. Steady: median between the calls of the memory pass. Retained: after release, malloc_trim "
      + "and the settling time. Peak: baseline plus the growth of VmHWM over VmRSS since it was reset at the "
      + "baseline, until the end of the pass, file pages included; null where the kernel refuses the reset. Mapped, "
      + "apart: the growth of RssFile from the baseline to the steady state."
  #endif
}

extension RunReply.MemorySplit {
  fileprivate init(_ at: String, _ memory: pb_memory) {
    self.init(
      at: at, anonymousBytes: positive(memory.anonymous), fileBytes: positive(memory.file),
      sharedBytes: positive(memory.shared), swapBytes: positive(memory.swap),
      pssBytes: positive(pb_proportional_bytes()))
  }
}

/// A size, or nil for the -1 that the probe gives for one that is not reported.
private func positive(_ bytes: Int64) -> Int? {
  bytes < 0 ? nil : Int(bytes)
}

func median(_ values: [Int]) -> Int {
  let sorted = values.sorted()
  let middle = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
