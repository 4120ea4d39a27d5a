/// Unpacks the zip that a Core ML package travels in. Written out because neither Linux nor iOS has a call for it.
public enum Unzip {
  /// Unpack `path` into `folder`. Throws a failure `load` for what is no zip, or leads out of the folder.
  public static func unpack(_ path: String, into folder: String) throws {
    let archive = ZipArchive(bytes: try Files.bytes(of: path))
    for entry in try archive.entries() {
      let parts = entry.name.split(separator: "/", omittingEmptySubsequences: false)
      guard !entry.name.hasPrefix("/"), !parts.contains(".."), !entry.name.contains("\0") else {
        throw RunFailure.failed(.load, "the package has a file '\(entry.name)', which leads out of it: build it again")
      }
      if entry.name.hasSuffix("/") { continue }
      let target = "\(folder)/\(entry.name)"
      try Files.makeFolder("\(folder)/\(parts.dropLast().joined(separator: "/"))")
      let file = try File(writing: target)
      try archive.content(of: entry).withUnsafeBytes(file.write)
    }
  }
}

/// A zip in memory (APPNOTE.TXT of PKWARE), with stored and deflated entries.
struct ZipArchive {
  struct Entry {
    let name: String
    let method: Int
    let crc: UInt32
    let packedBytes: Int
    let bytes: Int
    let header: Int
  }

  private static let endSignature: UInt32 = 0x0605_4b50
  private static let entrySignature: UInt32 = 0x0201_4b50
  private static let headerSignature: UInt32 = 0x0403_4b50
  private static let endBytes = 22

  let bytes: [UInt8]

  /// The entries of the central directory.
  func entries() throws -> [Entry] {
    // The end record is last, before a comment that may follow it.
    let from = max(0, bytes.count - ZipArchive.endBytes - 0xFFFF)
    var at = bytes.count - ZipArchive.endBytes
    while at >= from, word(at) != ZipArchive.endSignature { at -= 1 }
    guard at >= from, at >= 0, let count = half(at + 10), let start = word(at + 16) else { throw damaged }
    var entries: [Entry] = []
    var place = Int(start)
    for _ in 0..<count {
      let (entry, next) = try self.entry(at: place)
      entries.append(entry)
      place = next
    }
    return entries
  }

  private func entry(at place: Int) throws -> (Entry, next: Int) {
    guard word(place) == ZipArchive.entrySignature, let method = half(place + 10), let crc = word(place + 16),
      let packed = word(place + 20), let size = word(place + 24), let name = half(place + 28),
      let extra = half(place + 30), let comment = half(place + 32), let header = word(place + 42),
      place + 46 + name <= bytes.count
    else { throw damaged }
    let text = String(decoding: bytes[place + 46..<place + 46 + name], as: UTF8.self)
    let entry = Entry(
      name: text, method: method, crc: crc, packedBytes: Int(packed), bytes: Int(size), header: Int(header))
    return (entry, place + 46 + name + extra + comment)
  }

  /// The content of an entry, after checking its length and its checksum.
  func content(of entry: Entry) throws -> [UInt8] {
    guard word(entry.header) == ZipArchive.headerSignature, let name = half(entry.header + 26),
      let extra = half(entry.header + 28)
    else { throw damaged }
    let start = entry.header + 30 + name + extra
    guard start + entry.packedBytes <= bytes.count else { throw damaged }
    let packed = bytes[start..<start + entry.packedBytes]
    let content: [UInt8]
    switch entry.method {
    case 0: content = Array(packed)
    case 8: content = try Inflate.inflated(packed, expecting: entry.bytes)
    default:
      throw RunFailure.failed(
        .load,
        "'\(entry.name)' in the package is packed with method \(entry.method), not with deflate: build it again")
    }
    guard content.count == entry.bytes, Crc32.of(content) == entry.crc else { throw damaged }
    return content
  }

  private var damaged: RunFailure { .failed(.load, "the package is not a zip file, or it is damaged: deploy it again") }

  private func half(_ at: Int) -> Int? {
    guard at >= 0, at + 2 <= bytes.count else { return nil }
    return Int(bytes[at]) | Int(bytes[at + 1]) << 8
  }

  private func word(_ at: Int) -> UInt32? {
    guard let low = half(at), let high = half(at + 2) else { return nil }
    return UInt32(low) | UInt32(high) << 16
  }
}

/// CRC-32 as in ISO 3309.
enum Crc32 {
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
  }

  static func of(_ bytes: [UInt8]) -> UInt32 {
    table.withUnsafeBufferPointer { table in
      ~bytes.reduce(~UInt32(0)) { table[Int(($0 ^ UInt32($1)) & 0xFF)] ^ ($0 >> 8) }
    }
  }
}
