import XCTest

@testable import Core

final class RequestReaderTests: XCTestCase {
  func testTheFullRequestIsReadInWhole() throws {
    let request = try RequestReader.read(Golden.bytes("request-full.json"))
    XCTAssertEqual(request.cell, "digits-int8-tflite-xnnpack-t2-host-quick")
    XCTAssertEqual(request.launch, 3)
    XCTAssertEqual(request.artifact.parts.map(\.file), ["digits-int8.tflite", "digits-int8.tflite.data"])
    XCTAssertEqual(request.runtime, .init(delegate: .xnnpack, threads: 2, options: ["example": "on"]))
    XCTAssertEqual(request.inputs.tensors[1], TensorSpec(name: "tokens", dtype: .int64, shape: [1, 16]))
    XCTAssertEqual(request.inputs.recordBytes, 4 * 64 + 8 * 16)
    let warmup = RunRequest.Limits(minCalls: 3, minNs: 500_000_000, maxNs: 30_000_000_000)
    let measure = RunRequest.Limits(minCalls: 50, minNs: 3_000_000_000, maxNs: 30_000_000_000)
    XCTAssertEqual(
      request.passes,
      .init(
        latency: .init(warmup: warmup, measure: measure, intervalNs: 1_000_000, strideNs: 0),
        memory: .init(calls: 10, settleNs: 200_000_000), outputs: .init(count: 360), profile: .init(calls: 5),
        energy: nil))
  }

  func testAnEnergyPassIsRead() throws {
    let request = try RequestReader.read(Golden.bytes("request-energy.json"))
    XCTAssertEqual(request.passes.energy, .init(idleNs: 40_000_000_000, settleNs: 3_000_000_000))
  }

  func testWhatTheMinimalRequestLeavesOutHasItsDefault() throws {
    let request = try RequestReader.read(Golden.bytes("request-minimal.json"))
    XCTAssertNil(request.passes.latency)
    XCTAssertNil(request.passes.memory)
    XCTAssertEqual(request.runtime.options, [:])
    XCTAssertEqual(request.artifact.parts.count, 1)
  }

  func testAnotherSchemaIsRefusedByBothVersions() throws {
    let text = try Golden.bytes("request-other-schema.json")
    XCTAssertThrowsError(try RequestReader.read(text)) { error in
      XCTAssert("\(error)".contains("schema 2, but this runner reads schema 1"), "\(error)")
    }
    XCTAssertEqual(RequestReader.head(text), .init(cell: "digits-int8-tflite-xnnpack-t2-host-quick", launch: 3))
  }

  func testARequestThatIsWrongIsRefusedWithTheField() throws {
    let cases = [
      ("\"launch\": 3", "\"launch\": \"3\"", "launch is '3'; it must be an integer"),
      ("\"launch\": 3", "\"launch\": 3.0", "launch is 3.0; it must be an integer"),
      ("\"launch\": 3", "\"launch\": -1", "launch is -1"),
      ("\"min_ns\": 500000000", "\"min_ns\": 500000000.5", "passes.latency.warmup.min_ns is 500000000.5"),
      ("\"settle_ns\": 200000000", "\"settle_ns\": -5", "passes.memory.settle_ns is -5"),
      ("\"delegate\": \"xnnpack\"", "\"delegate\": \"tpu\"", "one of cpu, xnnpack, gpu, nnapi, coreml, qnn"),
      ("\"threads\": 2", "\"threads\": 0", "runtime.threads is 0"),
      ("\"count\": 360,", "\"count\": 0,", "inputs.count is 0"),
      ("\"dtype\": \"int64\"", "\"dtype\": \"int63\"", "inputs.tensors[1].dtype is 'int63'"),
      ("\"file\": \"inputs.bin\"", "\"file\": \"../inputs.bin\"", "inputs.file is '../inputs.bin'; it must be a plain"),
      ("\"sha256\": \"9f86", "\"sha256\": \"XX86", "artifact.sha256"),
      ("\"example\": \"on\"", "\"example\": 1", "runtime.options is an object; it must be an object of texts"),
      ("\"cell\":", "\"sell\":", "cell is missing"),
    ]
    for (right, wrong, said) in cases {
      let text = try Golden.text("request-full.json").replacing(right, with: wrong)
      XCTAssertThrowsError(try RequestReader.read(Array(text.utf8)), wrong) { error in
        XCTAssert("\(error)".contains(said), "\(error)")
      }
    }
  }

  func testAKeyThatIsNotKnownIsIgnored() throws {
    let text = try Golden.text("request-full.json").replacing(
      "\"launch\": 3", with: "\"later\": {\"x\": 1}, \"launch\": 3")
    XCTAssertEqual(
      try RequestReader.read(Array(text.utf8)), try RequestReader.read(Golden.bytes("request-full.json")))
  }

  func testWhatIsNoRequestIsRefusedAndHasAnEmptyHead() {
    for text in ["", "{", "[1]", "null", "{\"a\":}", String(repeating: "[", count: 100_000)] {
      XCTAssertThrowsError(try RequestReader.read(Array(text.utf8)), text)
      XCTAssertEqual(RequestReader.head(Array(text.utf8)), .init(cell: "", launch: 0))
    }
  }
}

final class JsonTests: XCTestCase {
  func testValuesAreRead() throws {
    let text = #" { "a" : [ 1 , -2.5e3, true, false, null ] , "é\u00e9\ud83d\ude00\n" : "\"\\\/" } "#
    XCTAssertEqual(
      try Json.parse(Array(text.utf8)),
      .object([
        "a": .list([.integer(1), .number(-2500), .truth(true), .truth(false), .null]), "éé😀\n": .text("\"\\/"),
      ]))
  }

  func testWhatIsNoJsonIsRefused() {
    for text in [
      "01", "+1", "1.", ".5", "-", "1 2", "{\"a\" 1}", "[1,]", "\"\\x\"", "\"\u{1}\"", "\"open", "tru", "[1",
      "{\"a\":1",
      "nan", "\"\\u12\"",
    ] {
      XCTAssertThrowsError(try Json.parse(Array(text.utf8)), text)
    }
  }
}
