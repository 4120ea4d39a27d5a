/// SHA-256 (FIPS 180-4), in lower-case hexadecimal. Written out because Linux has no library for it in the toolchain.
public struct Digest {
  private static let rounds: [UInt32] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
  ]
  private static let blockBytes = 64

  private var state: [UInt32] = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
  ]
  private var schedule = [UInt32](repeating: 0, count: 64)
  private var pending: [UInt8] = []
  private var length: UInt64 = 0

  public init() {}

  /// The digest of some bytes, so far.
  static func of(_ bytes: [UInt8]) -> Digest {
    var digest = Digest()
    bytes.withUnsafeBytes { digest.update($0) }
    return digest
  }

  /// Whether a text is a digest: 64 lower-case hexadecimal digits.
  public static func isOne(_ text: String) -> Bool {
    text.utf8.count == 64 && text.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }
  }

  /// The digest of a file. What is digested is also written to `copy`, if there is one. Throws `FileError`.
  public static func ofFile(_ path: String, copyingTo copy: File? = nil) throws -> String {
    var digest = Digest()
    let file = try File(reading: path)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
    defer { buffer.deallocate() }
    while true {
      let count = try file.read(into: buffer)
      if count == 0 { return digest.text() }
      let read = UnsafeRawBufferPointer(rebasing: buffer[..<count])
      digest.update(read)
      try copy?.write(read)
    }
  }

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    length += UInt64(bytes.count)
    var rest = bytes
    if !pending.isEmpty {
      let missing = min(Digest.blockBytes - pending.count, rest.count)
      pending += rest[..<missing]
      rest = UnsafeRawBufferPointer(rebasing: rest[missing...])
      guard pending.count == Digest.blockBytes else { return }
      pending.withUnsafeBytes { mix($0) }
      pending.removeAll(keepingCapacity: true)
    }
    let whole = rest.count - rest.count % Digest.blockBytes
    mix(UnsafeRawBufferPointer(rebasing: rest[..<whole]))
    pending += rest[whole...]
  }

  /// The digest of everything so far. Nothing can be added after it.
  public mutating func text() -> String {
    bytes().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// The same as bytes.
  mutating func bytes() -> [UInt8] {
    let bits = length &* 8
    var padding: [UInt8] = [0x80]
    let zeros = (119 - Int(length % 64)) % 64
    padding += [UInt8](repeating: 0, count: zeros)
    padding += (0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * UInt64($0))) }
    padding.withUnsafeBytes { update($0) }
    return state.flatMap { word in withUnsafeBytes(of: word.bigEndian) { Array($0) } }
  }

  /// Mix whole blocks into the state.
  private mutating func mix(_ bytes: UnsafeRawBufferPointer) {
    state.withUnsafeMutableBufferPointer { state in
      schedule.withUnsafeMutableBufferPointer { words in
        Digest.rounds.withUnsafeBufferPointer { constants in
          for start in stride(from: 0, to: bytes.count, by: Digest.blockBytes) {
            Digest.mix(bytes.baseAddress! + start, state, words, constants)
          }
        }
      }
    }
  }

  private static func mix(
    _ block: UnsafeRawPointer, _ state: UnsafeMutableBufferPointer<UInt32>,
    _ words: UnsafeMutableBufferPointer<UInt32>, _ constants: UnsafeBufferPointer<UInt32>
  ) {
    func turned(_ word: UInt32, _ by: UInt32) -> UInt32 { (word &>> by) | (word &<< (32 &- by)) }
    for at in 0..<16 {
      words[at] = UInt32(bigEndian: block.loadUnaligned(fromByteOffset: 4 &* at, as: UInt32.self))
    }
    for at in 16..<64 {
      let early = words[at &- 15]
      let late = words[at &- 2]
      let first = turned(early, 7) ^ turned(early, 18) ^ (early &>> 3)
      let second = turned(late, 17) ^ turned(late, 19) ^ (late &>> 10)
      words[at] = words[at &- 16] &+ first &+ words[at &- 7] &+ second
    }
    var (a, b, c, d) = (state[0], state[1], state[2], state[3])
    var (e, f, g, h) = (state[4], state[5], state[6], state[7])
    for at in 0..<64 {
      let high = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)
      let first = h &+ high &+ ((e & f) ^ (~e & g)) &+ constants[at] &+ words[at]
      let low = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)
      let second = low &+ ((a & b) ^ (a & c) ^ (b & c))
      (h, g, f, e) = (g, f, e, d &+ first)
      (d, c, b, a) = (c, b, a, first &+ second)
    }
    for (at, word) in [a, b, c, d, e, f, g, h].enumerated() { state[at] = state[at] &+ word }
  }
}
