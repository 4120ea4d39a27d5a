import XCTest

@testable import Core

final class TensorTests: XCTestCase {
  /// The mixed tensors of the golden file, with an integer that a float cannot hold.
  func testTheGoldenTensorsAreRead() throws {
    let bytes = try Golden.bytes("tensors-mixed.bin")
    XCTAssertEqual(bytes.count, 2 * (2 * 4 + 2 * 8 + 3))
    let tokens = try Tensor(.int64, [2])
    tokens.data.copyBytes(from: bytes[8..<24])
    XCTAssertEqual([tokens.integer(0), tokens.integer(1)], [1, -9_007_199_254_740_993])
    let scores = try Tensor(.float32, [1, 2])
    scores.data.copyBytes(from: bytes[..<8])
    XCTAssertEqual([scores.real(0), scores.real(1)], [1.5, -2])
  }

  func testCastsKeepTheValues() throws {
    let floats = try tensor([1.5, -2, 65504, 1e-8])
    let halves = try floats.cast(to: .float16).cast(to: .float32)
    XCTAssertEqual((0..<4).map { halves.real($0) }, [1.5, -2, 65504, 0])
    let whole = try Tensor(.int64, [2])
    whole.setInteger(0, -7)
    whole.setInteger(1, 1 << 20)
    XCTAssertEqual((0..<2).map { try! whole.cast(to: .int32).integer($0) }, [-7, 1 << 20])
    XCTAssertThrowsError(try floats.cast(to: .int32))
  }

  /// By hand: 0.25 / 0.1 = 2.5, which rounds to even, and 13 is beyond the range.
  func testQuantisationRoundsToEvenAndClips() throws {
    let stored = try tensor([0.25, 0.35, -0.25, 13, -14, .nan]).quantised(to: .int8, scale: 0.1, zeroPoint: 3)
    XCTAssertEqual((0..<6).map { stored.integer($0) }, [5, 7, 1, 127, -128, 3])
    let unsigned = try tensor([-1, 0, 300]).quantised(to: .uint8, scale: 1, zeroPoint: 10)
    XCTAssertEqual((0..<3).map { unsigned.integer($0) }, [9, 10, 255])
    let real = try stored.dequantised(scale: 0.1, zeroPoint: 3)
    XCTAssertEqual(real.real(0), 0.2, accuracy: 1e-6)
    XCTAssertEqual(real.real(4), -13.1, accuracy: 1e-5)
  }

  func testAShapeThatDoesNotFitIsAFailureOfTheInput() {
    XCTAssertThrowsError(try Tensor(.float32, [Int(Int32.max), Int(Int32.max), Int(Int32.max)])) { error in
      XCTAssertEqual((error as? RunFailure)?.kind, .input)
    }
  }

  func testWiderAndNarrowerNumbersBecomeThoseOfTheWire() throws {
    let doubles: [Double] = [0.5, -3]
    XCTAssertEqual(try Tensor(doublesAt: doubles, [2]).real(1), -3)
    let unsigned: [UInt16] = [65535, 1]
    XCTAssertEqual(try Tensor(unsignedAt: unsigned, width: 2, [2]).integer(0), 65535)
  }

  private func tensor(_ values: [Float]) throws -> Tensor {
    let tensor = try Tensor(.float32, [values.count])
    for (at, value) in values.enumerated() { tensor.setReal(at, value) }
    return tensor
  }
}
