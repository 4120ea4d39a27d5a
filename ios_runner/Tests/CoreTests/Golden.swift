import XCTest

@testable import Core

/// The examples that the tests of every runner read.
enum Golden {
  private static let folder = #filePath.split(separator: "/").dropLast(4).reduce("") { "\($0)/\($1)" }

  static func bytes(_ name: String) throws -> [UInt8] {
    try Files.bytes(of: "\(folder)/tests/golden/wire/\(name)")
  }

  static func text(_ name: String) throws -> String {
    String(decoding: try bytes(name), as: UTF8.self)
  }

  static func json(_ name: String) throws -> Json {
    try Json.parse(bytes(name))
  }

  /// A folder of its own for one test.
  static func folder(for test: XCTestCase) throws -> String {
    let name = test.name.filter { $0.isLetter || $0.isNumber }
    let path = "/tmp/phonebench-\(name)-\(SystemClock().nanos())"
    try Files.makeFolder(path)
    return path
  }
}

extension Json {
  /// The value without fields that are null, and with numbers that do not say whether they were whole.
  var plain: Json {
    switch self {
    case .integer(let value): .number(Double(value))
    case .list(let items): .list(items.map(\.plain))
    case .object(let fields): .object(fields.filter { $0.value != .null }.mapValues(\.plain))
    default: self
    }
  }

  subscript(_ key: String) -> Json? {
    guard case .object(let fields) = self else { return nil }
    return fields[key]
  }
}

extension String {
  func replacing(_ part: String, with other: String) -> String {
    var rest = self[...]
    var result = ""
    while let range = rest.firstRange(of: part) {
      result += rest[..<range.lowerBound] + other
      rest = rest[range.upperBound...]
    }
    return result + rest
  }
}
