import XCTest

@testable import Core

/// A Core ML package that `tests/ios_runner/package.py` made with Python's zip and coremltools' own records.
final class PackageTests: XCTestCase {
  private static let folder =
    #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/.build/package"

  override func setUpWithError() throws {
    try XCTSkipUnless(
      Files.exists("\(PackageTests.folder)/model.mlpackage.zip"), "the tests in Python make the package")
  }

  func testAPackageIsUnpackedAsPythonUnpacksIt() throws {
    let target = try Golden.folder(for: self)
    try Unzip.unpack("\(PackageTests.folder)/model.mlpackage.zip", into: target)
    for name in ["Manifest.json", "Data/com.apple.CoreML/model.mlmodel", "Data/com.apple.CoreML/weights/weight.bin"] {
      let expected = try Digest.ofFile("\(PackageTests.folder)/expected/model.mlpackage/\(name)")
      XCTAssertEqual(try Digest.ofFile("\(target)/model.mlpackage/\(name)"), expected, name)
    }
  }

  func testInputsAndOutputsAreInTheOrderOfTheModel() throws {
    let package = try CoreMLPackage("\(PackageTests.folder)/expected/model.mlpackage")
    XCTAssertEqual(package.inputs, ["zebra", "apple", "mango"])
    XCTAssertEqual(package.outputs, ["second", "first"])
  }

  func testADamagedZipIsRefused() throws {
    let bytes = try Files.bytes(of: "\(PackageTests.folder)/model.mlpackage.zip")
    let target = try Golden.folder(for: self)
    for place in [bytes.count / 3, bytes.count / 2] {
      var damaged = bytes
      damaged[place] ^= 0x5A
      try damaged.withUnsafeBytes(File(writing: "\(target)/x.zip").write)
      XCTAssertThrowsError(try Unzip.unpack("\(target)/x.zip", into: target)) { error in
        XCTAssertEqual((error as? RunFailure)?.kind, .load)
      }
    }
    try bytes[..<(bytes.count / 2)].withUnsafeBytes(File(writing: "\(target)/x.zip").write)
    XCTAssertThrowsError(try Unzip.unpack("\(target)/x.zip", into: target))
  }

  func testAFileThatIsPackedInAnotherWayIsNamed() throws {
    var bytes = try Files.bytes(of: "\(PackageTests.folder)/model.mlpackage.zip")
    let target = try Golden.folder(for: self)
    // The method stands ten bytes after the start of an entry in the central directory.
    let entry = try XCTUnwrap((0..<bytes.count - 4).first { Array(bytes[$0..<$0 + 4]) == [0x50, 0x4B, 1, 2] })
    bytes[entry + 10] = 99
    try bytes.withUnsafeBytes(File(writing: "\(target)/x.zip").write)
    XCTAssertThrowsError(try Unzip.unpack("\(target)/x.zip", into: target)) { error in
      XCTAssert("\(error)".containsText("' in the package is packed with method 99"), "\(error)")
      XCTAssert("\(error)".containsText("'model.mlpackage/"), "\(error)")
    }
  }

  func testAZipThatLeadsOutOfItsFolderIsRefused() throws {
    let target = try Golden.folder(for: self)
    XCTAssertThrowsError(try Unzip.unpack("\(PackageTests.folder)/outside.zip", into: target)) { error in
      XCTAssert("\(error)".containsText("which leads out of it"), "\(error)")
    }
  }
}
