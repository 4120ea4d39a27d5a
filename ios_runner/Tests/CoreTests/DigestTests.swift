import XCTest

@testable import Core

final class DigestTests: XCTestCase {
  /// The examples of FIPS 180-2, and a million times the letter a.
  func testTheDigestsAreThoseOfTheStandard() {
    XCTAssertEqual(digest([]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    XCTAssertEqual(digest(Array("abc".utf8)), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }

  private func digest(_ bytes: [UInt8]) -> String {
    var digest = Digest()
    bytes.withUnsafeBytes { digest.update($0) }
    return digest.text()
  }
}
