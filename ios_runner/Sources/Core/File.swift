#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// A file or a folder that the system refused to read or write, with the system's reason.
public struct FileError: Error, CustomStringConvertible {
  public let path: String
  public let code: Int32

  init(_ path: String, code: Int32 = errno) {
    self.path = path
    self.code = code
  }

  /// The system's word for the reason, such as "No such file or directory".
  public var reason: String { String(cString: strerror(code)) }
  public var description: String { "\(path): \(reason)" }
}

/// An open file.
public final class File {
  private let path: String
  let descriptor: Int32
  private let closes: Bool

  public init(reading path: String) throws {
    self.path = path
    closes = true
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError(path) }
  }

  /// A file that is made, or emptied if it is there.
  public init(writing path: String, mode: mode_t = 0o644) throws {
    self.path = path
    closes = true
    descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw FileError(path) }
  }

  /// A stream of the process, which stays open.
  public init(descriptor: Int32) {
    path = "descriptor \(descriptor)"
    self.descriptor = descriptor
    closes = false
  }

  deinit {
    if closes { close(descriptor) }
  }

  /// Read what comes next; 0 at the end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    try retried { systemRead(descriptor, buffer.baseAddress, buffer.count) }
  }

  /// Fill `buffer` from `offset`. The file is known to be long enough, so an early end is an error.
  func fill(_ buffer: UnsafeMutableRawBufferPointer, from offset: Int) throws {
    var done = 0
    while done < buffer.count {
      let count = try retried {
        pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
      }
      guard count > 0 else { throw FileError(path, code: EIO) }
      done += count
    }
  }

  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    var done = 0
    while done < bytes.count {
      done += try retried { systemWrite(descriptor, bytes.baseAddress! + done, bytes.count - done) }
    }
  }

  public func write(text: String) throws {
    try Array(text.utf8).withUnsafeBytes(write)
  }

  /// Flush the file to the disk.
  public func sync() throws {
    guard fsync(descriptor) == 0 else { throw FileError(path) }
  }

  private func retried(_ call: () -> Int) throws -> Int {
    while true {
      let count = call()
      if count >= 0 { return count }
      if errno != EINTR { throw FileError(path) }
    }
  }
}

// Inside the class these names would mean its own methods.
private let systemRead = read
private let systemWrite = write

/// What is done to files as a whole.
public enum Files {
  /// The contents of a file. Throws `FileError`.
  public static func bytes(of path: String) throws -> [UInt8] {
    let file = try File(reading: path)
    let count = try size(of: path)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    // Not by the size alone, because files in /proc have none.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
    defer { buffer.deallocate() }
    while true {
      let read = try file.read(into: buffer)
      if read == 0 { return bytes }
      bytes += buffer[..<read]
    }
  }

  /// The contents of a file as text, without the space around it; nil if it cannot be read.
  static func text(of path: String) -> String? {
    guard let bytes = try? bytes(of: path) else { return nil }
    let isSpace = { (byte: UInt8) in byte <= 0x20 }
    let tail = bytes.drop(while: isSpace).reversed().drop(while: isSpace)
    return String(decoding: tail.reversed(), as: UTF8.self)
  }

  public static func size(of path: String) throws -> Int {
    var facts = stat()
    guard stat(path, &facts) == 0 else { throw FileError(path) }
    return Int(facts.st_size)
  }

  public static func exists(_ path: String) -> Bool {
    access(path, F_OK) == 0
  }

  /// The names in a folder, sorted; none if there is no such folder.
  static func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
        tuple.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Make a folder and those above it. `mode` is that of the folder itself.
  public static func makeFolder(_ path: String, mode: mode_t = 0o755) throws {
    if mkdir(path, mode) == 0 || errno == EEXIST { return }
    let code = errno
    guard code == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw FileError(path, code: code)
    }
    try makeFolder(String(path[..<slash]))
    guard mkdir(path, mode) == 0 || errno == EEXIST else { throw FileError(path) }
  }

  /// Make an empty file; false if it is there already.
  public static func claim(_ path: String) throws -> Bool {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    if descriptor >= 0 {
      close(descriptor)
      return true
    }
    if errno == EEXIST { return false }
    throw FileError(path)
  }

  public static func move(_ from: String, to: String) throws {
    guard rename(from, to) == 0 else { throw FileError(to) }
  }

  public static func remove(_ path: String) {
    unlink(path)
  }

  /// Remove a folder with everything in it, but nothing that a link in it leads to.
  static func removeFolder(_ path: String) {
    if unlink(path) == 0 { return }
    empty(path)
    rmdir(path)
  }

  /// Remove everything in a folder, but not the folder.
  static func empty(_ path: String) {
    for name in names(in: path) { removeFolder("\(path)/\(name)") }
  }

  /// Make `name` a symbolic link to `target`, in place of what was there.
  static func link(_ name: String, to target: String) throws {
    unlink(name)
    guard symlink(target, name) == 0 else { throw FileError(name) }
  }

  /// The absolute path of an existing file, with links followed.
  static func absolute(_ path: String) throws -> String {
    guard let resolved = realpath(path, nil) else { throw FileError(path) }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}

let systemDup2 = dup2
