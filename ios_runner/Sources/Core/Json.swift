/// A value of a JSON text. Whole numbers stay whole: 3 is an integer, 3.0 is not.
public enum Json: Equatable, Sendable {
  case null
  case truth(Bool)
  case integer(Int)
  case number(Double)
  case text(String)
  case list([Json])
  case object([String: Json])

  /// Parse a whole text. Throws `RequestError` for anything that is not JSON.
  public static func parse(_ bytes: [UInt8]) throws -> Json {
    var parser = JsonParser(bytes: bytes)
    return try parser.document()
  }
}

/// A recursive-descent parser of RFC 8259. A repeated key keeps its last value, as in most libraries.
struct JsonParser {
  // Deeper than any request, and far from the end of the stack.
  private static let deepest = 64

  private let bytes: [UInt8]
  private var at = 0
  private var depth = 0

  init(bytes: [UInt8]) {
    self.bytes = bytes
  }

  mutating func document() throws -> Json {
    let value = try value()
    skipSpace()
    guard at == bytes.count else { throw wrong("text after the end") }
    return value
  }

  private mutating func value() throws -> Json {
    skipSpace()
    switch peek {
    case UInt8(ascii: "{"): return try nested { try $0.object() }
    case UInt8(ascii: "["): return try nested { try $0.list() }
    case UInt8(ascii: "\""): return .text(try text())
    case UInt8(ascii: "t"): return try word("true", .truth(true))
    case UInt8(ascii: "f"): return try word("false", .truth(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return try number()
    }
  }

  private mutating func nested(_ body: (inout JsonParser) throws -> Json) throws -> Json {
    guard depth < JsonParser.deepest else { throw wrong("more than \(JsonParser.deepest) levels") }
    depth += 1
    at += 1
    defer { depth -= 1 }
    return try body(&self)
  }

  private mutating func object() throws -> Json {
    var fields: [String: Json] = [:]
    skipSpace()
    if take("}") { return .object(fields) }
    repeat {
      skipSpace()
      guard peek == UInt8(ascii: "\"") else { throw wrong("a key that is no text") }
      let key = try text()
      skipSpace()
      guard take(":") else { throw wrong("a key without a value") }
      fields[key] = try value()
      skipSpace()
    } while take(",")
    guard take("}") else { throw wrong("an object without its end") }
    return .object(fields)
  }

  private mutating func list() throws -> Json {
    var items: [Json] = []
    skipSpace()
    if take("]") { return .list(items) }
    repeat {
      items.append(try value())
      skipSpace()
    } while take(",")
    guard take("]") else { throw wrong("a list without its end") }
    return .list(items)
  }

  private mutating func number() throws -> Json {
    let start = at
    while let byte = peek, "+-.0123456789eE".utf8.contains(byte) { at += 1 }
    let written = String(decoding: bytes[start..<at], as: UTF8.self)
    let digits = written.drop { $0 == "-" }
    // What `Int` and `Double` read beyond JSON: a plus, a leading zero, a bare point.
    let plain =
      digits.first?.isNumber == true && digits.last?.isNumber == true && written.utf8.first != UInt8(ascii: "+")
    let padded = digits.count > 1 && digits.first == "0" && digits.dropFirst().first?.isNumber == true
    guard plain, !padded else { throw wrong("a value that is no JSON") }
    if let whole = Int(written) { return .integer(whole) }
    guard let real = Double(written) else { throw wrong("a value that is no JSON") }
    return .number(real)
  }

  private mutating func text() throws -> String {
    var decoded: [UInt8] = []
    at += 1
    while let byte = peek {
      at += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: decoded, as: UTF8.self)
      case UInt8(ascii: "\\"): decoded += try escaped().utf8
      case 0..<0x20: throw wrong("a control character in a text")
      default: decoded.append(byte)
      }
    }
    throw wrong("a text without its end")
  }

  private mutating func escaped() throws -> String {
    guard let byte = peek else { throw wrong("a text without its end") }
    at += 1
    switch byte {
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "u"): return try unicode()
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return String(UnicodeScalar(byte))
    default: throw wrong("an escape that JSON does not have")
    }
  }

  /// The character of `\uXXXX`, whose second half may follow as another escape.
  private mutating func unicode() throws -> String {
    var units = [try hexadecimal()]
    if UTF16.isLeadSurrogate(units[0]), take("\\") {
      guard take("u") else { throw wrong("half a character") }
      units.append(try hexadecimal())
    }
    return String(decoding: units, as: UTF16.self)
  }

  private mutating func hexadecimal() throws -> UInt16 {
    let end = at + 4
    guard end <= bytes.count, let unit = UInt16(String(decoding: bytes[at..<end], as: UTF8.self), radix: 16) else {
      throw wrong("an escape without four digits")
    }
    at = end
    return unit
  }

  private mutating func word(_ word: String, _ value: Json) throws -> Json {
    guard bytes[at...].starts(with: word.utf8) else { throw wrong("a value that is no JSON") }
    at += word.utf8.count
    return value
  }

  private var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard peek == UInt8(ascii: character) else { return false }
    at += 1
    return true
  }

  private mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { at += 1 }
  }

  private func wrong(_ what: String) -> RequestError {
    RequestError("invalid JSON: \(what) at byte \(at)")
  }
}
