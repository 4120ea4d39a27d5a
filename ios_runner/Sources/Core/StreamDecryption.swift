/// Reads a file in Tink's format AES-GCM-HKDF streaming AEAD (docs/wire.md, Encryption), segment by segment.
struct StreamDecryption {
  /// A file that was changed, cut off or extended, or that was encrypted with another key or for another file.
  struct Damaged: Error {}

  private static let segmentBytes = 1 << 20
  private static let headerBytes = 40
  private static let saltBytes = 32
  private static let tagBytes = 16

  private let ciphers: any Ciphers
  private let key: [UInt8]
  private let associated: [UInt8]
  private let segment: Int

  /// `key` is that of the file, `sha256` the digest of the plain file.
  init(_ ciphers: any Ciphers, key: [UInt8], sha256: String, segmentBytes: Int = segmentBytes) {
    self.ciphers = ciphers
    self.key = key
    associated = Array(sha256.utf8)
    segment = segmentBytes
  }

  /// Decrypt the file `path`, and hand each piece to `take` once it is verified. Throws `Damaged` and `FileError`.
  func decrypt(_ path: String, _ take: (UnsafeRawBufferPointer) throws -> Void) throws {
    let file = try File(reading: path)
    let size = try Files.size(of: path)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: segment, alignment: 16)
    defer { buffer.deallocate() }
    guard size >= StreamDecryption.headerBytes + StreamDecryption.tagBytes else { throw Damaged() }
    let header = UnsafeMutableRawBufferPointer(rebasing: buffer[..<StreamDecryption.headerBytes])
    try file.fill(header, from: 0)
    guard Int(header[0]) == header.count else { throw Damaged() }
    let prefix = Array(header[(1 + StreamDecryption.saltBytes)...])
    let derived = ciphers.derived(key, salt: Array(header[1...StreamDecryption.saltBytes]), info: associated)
    var at = header.count
    var number: UInt32 = 0
    while at < size {
      // The header takes its place in the first segment.
      let end = min(size, (Int(number) + 1) * segment)
      let sealed = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(end - at)])
      try file.fill(sealed, from: at)
      let nonce = prefix + withUnsafeBytes(of: number.bigEndian) { Array($0) } + [end == size ? 1 : 0]
      guard sealed.count >= StreamDecryption.tagBytes,
        let plain = ciphers.opened(UnsafeRawBufferPointer(sealed), nonce: nonce, key: derived)
      else { throw Damaged() }
      try plain.withUnsafeBytes(take)
      at = end
      number += 1
    }
  }
}
