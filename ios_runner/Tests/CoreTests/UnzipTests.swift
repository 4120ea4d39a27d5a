import XCTest

@testable import Core

final class UnzipTests: XCTestCase {
  /// The last bytes of "hello hello hello hello\n" as zlib deflates them, with a fixed code; made with Python's zlib.
  func testFixedCodesAreInflated() throws {
    let packed: [UInt8] = [0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40, 0x27, 0xb9, 0x00]
    let text = try Inflate.inflated(packed[...], expecting: 24)
    XCTAssertEqual(String(decoding: text, as: UTF8.self), "hello hello hello hello\n")
  }

  func testStoredBlocksAreCopied() throws {
    XCTAssertEqual(try Inflate.inflated([1, 2, 0, 0xFD, 0xFF, 7, 8][...], expecting: 2), [7, 8])
  }

  func testDamagedDataIsRefused() {
    for packed: [UInt8] in [[], [7], [1, 2, 0, 0, 0, 7, 8], [0xcb, 0x48], [5, 0xFF, 0xFF, 0xFF, 0xFF]] {
      XCTAssertThrowsError(try Inflate.inflated(packed[...], expecting: 100), "\(packed)")
    }
  }

  func testMoreThanTheEntrySaysIsRefused() {
    let packed: [UInt8] = [0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40, 0x27, 0xb9, 0x00]
    XCTAssertThrowsError(try Inflate.inflated(packed[...], expecting: 23))
  }

  func testChecksumsAreThoseOfTheStandard() {
    XCTAssertEqual(Crc32.of(Array("123456789".utf8)), 0xCBF4_3926)
  }
}
