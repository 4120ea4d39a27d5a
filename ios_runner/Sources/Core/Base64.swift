/// Base64 with padding (RFC 4648, section 4). Foundation has it too, but this module does without Foundation.
enum Base64 {
  private static let values: [UInt8: UInt32] = {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8
    return Dictionary(uniqueKeysWithValues: letters.enumerated().map { ($1, UInt32($0)) })
  }()

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
}
