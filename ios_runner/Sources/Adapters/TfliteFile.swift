import Core

/// What a `.tflite` says about its main graph. It is a FlatBuffer; the numbers of fields are those of TensorFlow Lite's
/// schema. The C interface tells neither the names of a signature nor which dimensions are open.
struct TfliteFile {
  /// The number of nodes.
  let nodes: Int
  /// The names of the inputs in the file's order, as the exporter's only signature has them; empty without one.
  let inputNames: [String]
  /// The shapes of the inputs in the file's order, with `TensorSpec.any` for an open dimension.
  let inputShapes: [[Int]]

  /// Read a file. Throws a failure `load` if it is no model of TensorFlow Lite.
  init(_ path: String) throws {
    let buffer = FlatBuffer(try Files.bytes(of: path))
    guard let parsed = TfliteFile(buffer) else {
      throw RunFailure.load(TfliteAdapter.title, path, "the file is not a TensorFlow Lite model, or it is truncated")
    }
    self = parsed
  }

  private init?(_ buffer: FlatBuffer) {
    guard let root = buffer.root(identifier: "TFL3"), let graph = buffer.tables(root, 2)?.first,
      let inputs = buffer.integers(graph, 1), let tensors = buffer.tables(graph, 0)
    else { return nil }
    nodes = buffer.tables(graph, 3)?.count ?? 0
    var shapes: [[Int]] = []
    for input in inputs {
      guard tensors.indices.contains(input) else { return nil }
      let shape = buffer.integers(tensors[input], 0) ?? []
      let open = buffer.integers(tensors[input], 7) ?? []
      shapes.append(open.count == shape.count ? open : shape)
    }
    inputShapes = shapes
    let signatures = buffer.tables(root, 7) ?? []
    var names: [Int: String] = [:]
    if signatures.count == 1 {
      for entry in buffer.tables(signatures[0], 0) ?? [] {
        names[buffer.integer(entry, 1) ?? 0] = buffer.text(entry, 0)
      }
    }
    let ordered = inputs.compactMap { names[$0] }
    inputNames = ordered.count == inputs.count ? ordered : []
  }
}

/// A FlatBuffer, read field by field. What lies outside of the file is nil.
struct FlatBuffer {
  private let bytes: [UInt8]

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// The place of the root table, if the file has the identifier.
  func root(identifier: String) -> Int? {
    guard bytes.count >= 8, bytes[4..<8].elementsEqual(identifier.utf8) else { return nil }
    return offset(at: 0)
  }

  /// The tables of a vector of tables.
  func tables(_ table: Int, _ number: Int) -> [Int]? {
    guard let (start, count) = vector(table, number, width: 4) else { return nil }
    var tables: [Int] = []
    for at in 0..<count {
      guard let entry = offset(at: start + 4 * at) else { return nil }
      tables.append(entry)
    }
    return tables
  }

  /// The values of a vector of 32-bit integers.
  func integers(_ table: Int, _ number: Int) -> [Int]? {
    guard let (start, count) = vector(table, number, width: 4) else { return nil }
    return (0..<count).map { Int(Int32(bitPattern: word(start + 4 * $0)!)) }
  }

  /// A field that is an unsigned 32-bit integer.
  func integer(_ table: Int, _ number: Int) -> Int? {
    field(table, number).flatMap { word($0) }.map(Int.init)
  }

  func text(_ table: Int, _ number: Int) -> String? {
    guard let (start, count) = vector(table, number, width: 1) else { return nil }
    return String(decoding: bytes[start..<start + count], as: UTF8.self)
  }

  /// The first element of a vector, and how many it has.
  private func vector(_ table: Int, _ number: Int, width: Int) -> (start: Int, count: Int)? {
    guard let place = field(table, number), let vector = offset(at: place), let count = word(vector),
      vector + 4 + width * Int(count) <= bytes.count
    else { return nil }
    return (vector + 4, Int(count))
  }

  /// The place of a field of a table; nil if the table does not have it.
  private func field(_ table: Int, _ number: Int) -> Int? {
    guard let back = word(table) else { return nil }
    let layout = table - Int(Int32(bitPattern: back))
    guard let size = half(layout), 4 + 2 * number < Int(size), let inTable = half(layout + 4 + 2 * number), inTable > 0
    else { return nil }
    return table + Int(inTable)
  }

  /// The place that the offset at `place` leads to.
  private func offset(at place: Int) -> Int? {
    word(place).map { place + Int($0) }
  }

  private func word(_ at: Int) -> UInt32? {
    guard let low = half(at), let high = half(at + 2) else { return nil }
    return UInt32(low) | UInt32(high) << 16
  }

  private func half(_ at: Int) -> UInt16? {
    guard at >= 0, at + 2 <= bytes.count else { return nil }
    return UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8
  }
}
