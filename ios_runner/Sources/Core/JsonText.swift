/// Writes JSON field by field into a file, without turning a million samples into a million objects.
///
/// NaN and infinity become null, because JSON cannot express them.
struct JsonText {
  private static let flushBytes = 1 << 16

  private let write: (UnsafeRawBufferPointer) throws -> Void
  private var buffer: [UInt8] = []
  private var first = true

  init(_ write: @escaping (UnsafeRawBufferPointer) throws -> Void) {
    self.write = write
    buffer.reserveCapacity(JsonText.flushBytes + 64)
  }

  mutating func flush() throws {
    try buffer.withUnsafeBytes(write)
    buffer.removeAll(keepingCapacity: true)
  }

  /// An object whose fields `body` writes.
  mutating func object(_ body: (inout JsonText) throws -> Void) rethrows {
    try bracketed("{", "}", body)
  }

  mutating func list<Item>(_ name: String, _ items: [Item], _ body: (inout JsonText, Item) throws -> Void) throws {
    key(name)
    try bracketed("[", "]") { json in
      for item in items {
        json.separate()
        try body(&json, item)
      }
    }
  }

  /// A field whose object `body` writes, or null without a value.
  mutating func field<Value>(_ name: String, _ value: Value?, _ body: (inout JsonText, Value) throws -> Void) throws {
    key(name)
    guard let value else { return raw("null") }
    try object { try body(&$0, value) }
  }

  mutating func field(_ name: String, _ value: String?) {
    key(name)
    value.map { quoted($0) } ?? raw("null")
  }

  mutating func field(_ name: String, _ value: Int?) {
    key(name)
    raw(value.map(String.init) ?? "null")
  }

  mutating func field(_ name: String, _ value: Bool?) {
    key(name)
    raw(value.map { "\($0)" } ?? "null")
  }

  mutating func field(_ name: String, _ value: Double?) {
    key(name)
    raw(value.flatMap { $0.isFinite ? "\($0)" : nil } ?? "null")
  }

  mutating func field(_ name: String, _ values: [Int]) throws {
    try list(name, values) { json, value in
      json.raw(String(value))
      if json.buffer.count >= JsonText.flushBytes { try json.flush() }
    }
  }

  private mutating func bracketed(_ open: String, _ close: String, _ body: (inout JsonText) throws -> Void) rethrows {
    raw(open)
    first = true
    try body(&self)
    raw(close)
    first = false
  }

  private mutating func key(_ name: String) {
    separate()
    quoted(name)
    raw(":")
  }

  private mutating func separate() {
    if !first { raw(",") }
    first = false
  }

  private mutating func raw(_ text: String) {
    buffer += text.utf8
  }

  private mutating func quoted(_ text: String) {
    raw("\"")
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""): raw("\\\"")
      case UInt8(ascii: "\\"): raw("\\\\")
      case UInt8(ascii: "\n"): raw("\\n")
      case 0..<0x20: raw("\\u00" + (byte < 0x10 ? "0" : "") + String(byte, radix: 16))
      default: buffer.append(byte)
      }
    }
    raw("\"")
  }
}
