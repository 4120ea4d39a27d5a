/// Unpacks deflated data (RFC 1951).
struct Inflate {
  // Tables of RFC 1951, section 3.2.5: the lengths and distances that the codes begin at, and their extra bits.
  private static let lengthStarts = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
  ]
  private static let lengthBits = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
  ]
  private static let distanceStarts = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
    8193, 12289, 16385, 24577,
  ]
  private static let distanceBits = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
  ]
  private static let codeLengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
  private static let endOfBlock = 256

  private let input: ArraySlice<UInt8>
  private var at: Int
  private var bits: UInt32 = 0
  private var bitCount = 0
  private var output: [UInt8] = []
  private let limit: Int

  /// The unpacked data. Throws a failure `load` if it is damaged, or longer than `limit`.
  static func inflated(_ packed: ArraySlice<UInt8>, expecting limit: Int) throws -> [UInt8] {
    var inflate = Inflate(input: packed, limit: limit)
    repeat {} while try inflate.block()
    return inflate.output
  }

  private init(input: ArraySlice<UInt8>, limit: Int) {
    self.input = input
    self.limit = limit
    at = input.startIndex
    // The size comes from the file, which may lie.
    output.reserveCapacity(min(limit, 1 << 28))
  }

  /// Unpack one block; false if it was the last one.
  private mutating func block() throws -> Bool {
    let isLast = try take(1) == 1
    switch try take(2) {
    case 0: try stored()
    case 1:
      let lengths =
        [Int](repeating: 8, count: 144) + [Int](repeating: 9, count: 112) + [Int](repeating: 7, count: 24)
        + [Int](repeating: 8, count: 8)
      try compressed(Huffman(lengths), Huffman([Int](repeating: 5, count: 30)))
    case 2:
      let (literals, distances) = try codes()
      try compressed(literals, distances)
    default: throw damaged
    }
    return !isLast
  }

  private mutating func stored() throws {
    (bits, bitCount) = (0, 0)
    guard at + 4 <= input.endIndex else { throw damaged }
    let count = Int(input[at]) | Int(input[at + 1]) << 8
    guard count == ~(Int(input[at + 2]) | Int(input[at + 3]) << 8) & 0xFFFF, at + 4 + count <= input.endIndex,
      output.count + count <= limit
    else { throw damaged }
    output += input[at + 4..<at + 4 + count]
    at += 4 + count
  }

  /// The codes of a block that brings its own.
  private mutating func codes() throws -> (literals: Huffman, distances: Huffman) {
    let literalCount = try take(5) + 257
    let distanceCount = try take(5) + 1
    let lengthCount = try take(4) + 4
    var lengths = [Int](repeating: 0, count: 19)
    for order in Inflate.codeLengthOrder.prefix(lengthCount) { lengths[order] = try take(3) }
    let code = Huffman(lengths)
    var all: [Int] = []
    while all.count < literalCount + distanceCount {
      switch try symbol(code) {
      case 16:
        guard let last = all.last else { throw damaged }
        all += [Int](repeating: last, count: try take(2) + 3)
      case 17: all += [Int](repeating: 0, count: try take(3) + 3)
      case 18: all += [Int](repeating: 0, count: try take(7) + 11)
      case let length: all.append(length)
      }
    }
    guard all.count == literalCount + distanceCount else { throw damaged }
    return (Huffman(Array(all[..<literalCount])), Huffman(Array(all[literalCount...])))
  }

  private mutating func compressed(_ literals: Huffman, _ distances: Huffman) throws {
    while true {
      let symbol = try symbol(literals)
      if symbol == Inflate.endOfBlock { return }
      guard output.count < limit else { throw damaged }
      if symbol < Inflate.endOfBlock {
        output.append(UInt8(symbol))
        continue
      }
      let place = symbol - Inflate.endOfBlock - 1
      guard place < Inflate.lengthStarts.count else { throw damaged }
      let length = Inflate.lengthStarts[place] + (try take(Inflate.lengthBits[place]))
      let code = try self.symbol(distances)
      guard code < Inflate.distanceStarts.count else { throw damaged }
      let distance = Inflate.distanceStarts[code] + (try take(Inflate.distanceBits[code]))
      guard distance <= output.count, output.count + length <= limit else { throw damaged }
      // Byte by byte, because the source may run into what is being written.
      for _ in 0..<length { output.append(output[output.count - distance]) }
    }
  }

  /// The next symbol of a canonical code, bit by bit.
  private mutating func symbol(_ code: Huffman) throws -> Int {
    var value = 0
    var first = 0
    var index = 0
    for length in 1...Huffman.longest {
      value |= try take(1)
      let count = code.counts[length]
      if value - first < count { return code.symbols[index + value - first] }
      index += count
      first = (first + count) << 1
      value <<= 1
    }
    throw damaged
  }

  private mutating func take(_ count: Int) throws -> Int {
    while bitCount < count {
      guard at < input.endIndex else { throw damaged }
      bits |= UInt32(input[at]) << UInt32(bitCount)
      at += 1
      bitCount += 8
    }
    let value = Int(bits & ((1 << UInt32(count)) - 1))
    bits >>= UInt32(count)
    bitCount -= count
    return value
  }

  private var damaged: RunFailure { .failed(.load, "the package is damaged: deploy it again") }
}

/// A canonical Huffman code: how many symbols have each length, and the symbols in the order of their codes.
struct Huffman {
  static let longest = 15

  let counts: [Int]
  let symbols: [Int]

  init(_ lengths: [Int]) {
    var counts = [Int](repeating: 0, count: Huffman.longest + 1)
    for length in lengths where length > 0 { counts[length] += 1 }
    self.counts = counts
    symbols = lengths.indices.filter { lengths[$0] > 0 }.sorted { (lengths[$0], $0) < (lengths[$1], $1) }
  }
}
