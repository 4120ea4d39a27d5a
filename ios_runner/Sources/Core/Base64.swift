/// Base64 with padding (RFC 4648, section 4). Foundation has it too, but this module does without Foundation.
enum Base64 {
  private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let values = Dictionary(uniqueKeysWithValues: letters.enumerated().map { ($1, UInt32($0)) })

  /// The bytes that `text` stands for; nil if it is not Base64.
  static func decoded(_ text: some Collection<UInt8>) -> [UInt8]? {
    let padding = text.reversed().prefix { $0 == UInt8(ascii: "=") }.count
    guard text.count % 4 == 0, padding <= 2 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 4 * 3)
    var word: UInt32 = 0
    for (at, letter) in text.dropLast(padding).enumerated() {
      guard let value = values[letter] else { return nil }
      word = word << 6 | value
      // Each letter after the first of four completes a byte.
      if at % 4 != 0 { bytes.append(UInt8(truncatingIfNeeded: word >> (6 - 2 * UInt32(at % 4)))) }
    }
    return bytes
  }

  /// The text that stands for `bytes`.
  static func encoded(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let three = bytes[start..<min(start + 3, bytes.count)]
      let word = three.reduce(0) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - three.count))
      text += (0...three.count).map { letters[Int(word >> (18 - 6 * UInt32($0)) & 63)] }
      text += [UInt8](repeating: UInt8(ascii: "="), count: 3 - three.count)
    }
    return String(decoding: text, as: UTF8.self)
  }
}
