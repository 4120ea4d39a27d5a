/// The inputs and outputs of a Core ML package in the order of the model, which Core ML itself does not tell: its
/// descriptions are dictionaries.
///
/// `model.mlmodel` is a protocol buffer. A model's description is field 2 of it; inputs are field 1 of a description
/// and outputs are field 10, each with its name in field 1 (Model.proto of coremltools).
public struct CoreMLPackage: Equatable {
  private static let specification = "Data/com.apple.CoreML/model.mlmodel"

  public let inputs: [String]
  public let outputs: [String]

  /// Read the package in the folder `path`. Throws a failure `load`.
  public init(_ path: String) throws {
    let bytes: [UInt8]
    do {
      bytes = try Files.bytes(of: "\(path)/\(CoreMLPackage.specification)")
    } catch let error as FileError {
      throw RunFailure.load("Core ML", path, "the package has no \(CoreMLPackage.specification): \(error.reason)")
    }
    guard let model = ProtoMessage(bytes[...]), let text = model.messages(2).first,
      let description = ProtoMessage(text)
    else { throw RunFailure.load("Core ML", path, "\(CoreMLPackage.specification) is damaged") }
    inputs = CoreMLPackage.names(description.messages(1))
    outputs = CoreMLPackage.names(description.messages(10))
  }

  private static func names(_ features: [ArraySlice<UInt8>]) -> [String] {
    features.compactMap { ProtoMessage($0)?.messages(1).first }.map { String(decoding: $0, as: UTF8.self) }
  }
}

/// The length-delimited fields of a message of protocol buffers.
struct ProtoMessage {
  private var fields: [Int: [ArraySlice<UInt8>]] = [:]

  /// Returns nil if the bytes are no message.
  init?(_ bytes: ArraySlice<UInt8>) {
    var rest = bytes
    while !rest.isEmpty {
      guard let key = ProtoMessage.varint(&rest) else { return nil }
      switch key & 7 {
      case 0: guard ProtoMessage.varint(&rest) != nil else { return nil }
      case 1: guard ProtoMessage.skip(&rest, 8) else { return nil }
      case 5: guard ProtoMessage.skip(&rest, 4) else { return nil }
      case 2:
        guard let count = ProtoMessage.varint(&rest), count <= UInt64(rest.count) else { return nil }
        fields[Int(key >> 3), default: []].append(rest.prefix(Int(count)))
        rest = rest.dropFirst(Int(count))
      default: return nil
      }
    }
  }

  /// The contents of a field, once for each time it occurs.
  func messages(_ number: Int) -> [ArraySlice<UInt8>] {
    fields[number] ?? []
  }

  private static func varint(_ rest: inout ArraySlice<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard let byte = rest.popFirst() else { return nil }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    return nil
  }

  private static func skip(_ rest: inout ArraySlice<UInt8>, _ count: Int) -> Bool {
    guard rest.count >= count else { return false }
    rest = rest.dropFirst(count)
    return true
  }
}
