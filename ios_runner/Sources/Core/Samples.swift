#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Times of calls in ns, in order. Chunks are made ahead of time, and only between calls.
///
/// The chunks are mapped from a deleted file. They do not count as owned memory then, and the many samples of a fast
/// model do not distort the memory pass that follows.
final class Samples {
  static let chunk = 65_536
  private static let bytes = chunk * MemoryLayout<Int>.stride

  private let folder: String
  private var chunks: [UnsafeMutablePointer<Int>] = []
  private var last: UnsafeMutablePointer<Int>
  private var inLast = 0

  init(scratch folder: String) throws {
    self.folder = folder
    last = try Samples.mapped(folder)
    chunks.reserveCapacity(1024)
    chunks.append(last)
  }

  deinit {
    for chunk in chunks { munmap(chunk, Samples.bytes) }
  }

  var count: Int { (chunks.count - 1) * Samples.chunk + inLast }

  /// A copy of all samples.
  var values: [Int] {
    (0..<count).map { chunks[$0 / Samples.chunk][$0 % Samples.chunk] }
  }

  /// Keep one more sample. Only call this between timed calls, because it may grow.
  @inline(__always)
  func append(_ value: Int) throws {
    last[inLast] = value
    inLast += 1
    if inLast == Samples.chunk { try grow() }
  }

  private func grow() throws {
    last = try Samples.mapped(folder)
    chunks.append(last)
    inLast = 0
  }

  private static func mapped(_ folder: String) throws -> UnsafeMutablePointer<Int> {
    let path = "\(folder)/samples.tmp"
    do {
      let file = try File(writing: path)
      Files.remove(path)
      guard ftruncate(file.descriptor, off_t(bytes)) == 0,
        let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor, 0), memory != MAP_FAILED
      else { throw FileError(path) }
      // Written now, or page faults would happen between the timed calls.
      memory.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
      return memory.bindMemory(to: Int.self, capacity: chunk)
    } catch let error as FileError {
      throw RunFailure.failed(
        .storage, "cannot store the samples: \(error.reason); free some disk space", detail: error.description)
    }
  }
}
