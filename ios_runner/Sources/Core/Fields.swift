/// A request that this version cannot read. The message names the field, or both schema versions.
public struct RequestError: Error, Equatable, CustomStringConvertible {
  public let description: String

  init(_ description: String) {
    self.description = description
  }
}

/// A JSON object with strictly typed fields. Errors name a field by its path from the root.
struct Fields {
  // A word for people: anything larger than what fits in a reply's figures is a mistake.
  private static let most = Int(Int32.max)

  private let object: [String: Json]
  private let path: String

  init(_ value: Json, path: String = "") throws {
    guard case .object(let object) = value else { throw RequestError("invalid JSON: it must be an object") }
    self.init(object: object, path: path)
  }

  private init(object: [String: Json], path: String) {
    self.object = object
    self.path = path
  }

  /// Whether a field is absent or null.
  func lacks(_ key: String) -> Bool {
    object[key] == nil || object[key] == .null
  }

  func text(_ key: String) throws -> String {
    guard case .text(let text)? = object[key] else { throw wrong(key, "text") }
    return text
  }

  /// What a text in Base64 stands for.
  func bytes(_ key: String) throws -> [UInt8] {
    guard let bytes = Base64.decoded(try text(key).utf8) else { throw wrong(key, "Base64") }
    return bytes
  }

  func integer(_ key: String) throws -> Int {
    guard case .integer(let value)? = object[key] else { throw wrong(key, "an integer") }
    return value
  }

  /// An integer of at least `least` that fits in 31 bits.
  func count(_ key: String, least: Int) throws -> Int {
    let value = try integer(key)
    guard value >= least, value <= Fields.most else { throw wrong(key, "an integer of at least \(least)") }
    return value
  }

  /// A required time in nanoseconds.
  func duration(_ key: String) throws -> Int {
    let value = try integer(key)
    guard value >= 0 else { throw wrong(key, "a time of at least 0 ns") }
    return value
  }

  /// A time in nanoseconds, 0 if it is absent.
  func durationOrZero(_ key: String) throws -> Int {
    object[key] == nil ? 0 : try duration(key)
  }

  func fields(_ key: String) throws -> Fields {
    guard case .object(let inner)? = object[key] else { throw wrong(key, "an object") }
    return Fields(object: inner, path: "\(path)\(key).")
  }

  /// The fields under `key`, or nil if it is absent or null.
  func fieldsIfPresent(_ key: String) throws -> Fields? {
    lacks(key) ? nil : try fields(key)
  }

  func list(_ key: String) throws -> [Fields] {
    guard case .list(let items)? = object[key] else { throw wrong(key, "a list") }
    return try items.enumerated().map { at, item in
      guard case .object(let inner) = item else { throw wrong(key, "a list of objects") }
      return Fields(object: inner, path: "\(path)\(key)[\(at)].")
    }
  }

  func sizes(_ key: String) throws -> [Int] {
    guard case .list(let items)? = object[key] else { throw wrong(key, "a list") }
    return try items.map { item in
      guard case .integer(let size) = item, (0...Fields.most).contains(size) else {
        throw wrong(key, "a list of sizes from 0 to \(Fields.most)")
      }
      return size
    }
  }

  func texts(_ key: String) throws -> [String: String] {
    guard !lacks(key) else { return [:] }
    guard case .object(let inner)? = object[key] else { throw wrong(key, "an object of texts") }
    return try inner.mapValues { value in
      guard case .text(let text) = value else { throw wrong(key, "an object of texts") }
      return text
    }
  }

  /// The value of a closed set that `key` names.
  func oneOf<Name: RawRepresentable & CaseIterable>(_ key: String) throws -> Name where Name.RawValue == String {
    guard let name = Name(rawValue: try text(key)) else {
      throw wrong(key, "one of " + Name.allCases.map(\.rawValue).joined(separator: ", "))
    }
    return name
  }

  func wrong(_ key: String, _ expected: String) -> RequestError {
    let problem = object[key].map { "is \($0.shown)" } ?? "is missing"
    return RequestError("\(path)\(key) \(problem); it must be \(expected)")
  }
}

extension Json {
  /// The value in a sentence.
  var shown: String {
    switch self {
    case .null: "null"
    case .truth(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .number(let value): "\(value)"
    case .text(let text): "'\(text)'"
    case .list: "a list"
    case .object: "an object"
    }
  }
}
