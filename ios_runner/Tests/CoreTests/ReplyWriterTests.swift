import XCTest

@testable import Core

final class ReplyWriterTests: XCTestCase {
  private let runner = RunReply.Runner(kind: "android-app", version: "0.1.0", debuggable: true)

  func testTheFullReplyIsWrittenAsTheGoldenFileHasIt() throws {
    // Of fields that only Android has, the writer knows nothing.
    let golden = try Golden.text("reply-ok-full.json")
      .replacing("\"library_page_bytes\": 4096", with: "\"library_page_bytes\": null")
      .replacing("\"thermal_headroom\": 0.5,", with: "").replacing("\"thermal_headroom\": 0.75,", with: "")
      .replacing("\"thermal_headroom\": 0.625,", with: "")
    XCTAssertEqual(try written(full).plain, try Json.parse(Array(golden.utf8)).plain)
  }

  func testOperatorsAndWhatADelegateLeftAreWrittenAsTheGoldenFileHasThem() throws {
    let golden = try Golden.json("reply-ok-operators.json")
    var results = RunReply.Results()
    results.profile = [
      .init(name: "GPU WebGPU", kind: "DELEGATE", samplesNs: [1_400_000, 1_390_000], ranOn: "gpu", nodes: 7),
      .init(name: "TopK:8", kind: "TOPK_V2", samplesNs: [21000, 20000], ranOn: "cpu", reason: "no kernel"),
      .init(name: "Cast:9", kind: "CAST", samplesNs: [], ranOn: "cpu"),
    ]
    results.profileFacts = .init(source: "litert 2.3.0", callsNs: [1_460_000, 1_450_000])
    let json = try written(reply(.ok, results))
    let defaults = ["\"reason\": \"\",\n", "\"nodes\": 1\n"]
    let expected = try defaults.reduce(Golden.text("reply-ok-operators.json")) { $0.replacing($1, with: "") }
    XCTAssertEqual(json["profile_facts"], golden["profile_facts"])
    XCTAssert(expected.contains("TOPK_V2"))
    guard case .list(let items)? = json["profile"], case .list(let golden)? = golden["profile"] else {
      return XCTFail("there is no profile")
    }
    for (item, right) in zip(items, golden) {
      for key in ["name", "kind", "samples_ns", "ran_on"] { XCTAssertEqual(item[key], right[key]) }
      XCTAssertEqual(item["nodes"] ?? .integer(1), right["nodes"])
      XCTAssertEqual(item["reason"] ?? .text(""), right["reason"])
    }
  }

  func testTheBlocksOfAnEnergyPassAreWrittenAsTheGoldenFileHasThem() throws {
    // Of tokens the writer knows nothing: the app runs no language models.
    let text = try Golden.text("reply-ok-energy.json").replacing(", \"tokens\": 80000", with: "")
    let golden = try XCTUnwrap(Json.parse(Array(text.utf8))["energy"]?["blocks"])
    var results = RunReply.Results()
    results.energy = .init(
      blocks: [
        .init(kind: "idle", beganNs: 3_000_000_000, endedNs: 43_000_000_000, calls: 0),
        .init(kind: "load", beganNs: 46_000_000_000, endedNs: 86_000_000_000, calls: 40_000),
      ], wallOffsetNs: 1_790_000_000_000_000_000)
    let energy = try XCTUnwrap(written(reply(.ok, results))["energy"])
    XCTAssertEqual(energy["blocks"]?.plain, golden.plain)
    XCTAssertEqual(energy["wall_offset_ns"], .integer(1_790_000_000_000_000_000))
  }

  func testAReplyOfFailureSaysNothingItDoesNotKnow() throws {
    let failure = RunReply.Failure(kind: .digest, message: "not the one: \"x\" é\t\\", detail: "")
    let json = try written(
      RunReply(
        cell: "cell", launch: 1, status: .failed, runner: runner, failure: failure, results: .init(), state: nil))
    XCTAssertEqual(json["failure"]?["kind"], .text("digest"))
    XCTAssertEqual(json["failure"]?["message"], .text("not the one: \"x\" é\t\\"))
    for key in ["runtime", "load", "latency", "memory", "outputs", "state"] { XCTAssertEqual(json[key], .null, key) }
  }

  func testANumberThatIsNotFiniteIsNull() throws {
    var bytes: [UInt8] = []
    var json = JsonText { bytes += $0 }
    json.object { json in
      json.field("a", Double.nan)
      json.field("b", 0.5)
      json.field("c", Double.infinity)
    }
    try json.flush()
    XCTAssertEqual(String(decoding: bytes, as: UTF8.self), "{\"a\":null,\"b\":0.5,\"c\":null}")
  }

  func testTheFileIsWholeAndNothingIsLeftBesideIt() throws {
    let folder = try Golden.folder(for: self)
    try File(writing: "\(folder)/reply.json").write(text: "old")
    try ReplyWriter.write(folder, full)
    XCTAssertEqual(try Json.parse(Files.bytes(of: "\(folder)/reply.json"))["status"], .text("ok"))
    XCTAssertEqual(Files.names(in: folder), ["reply.json"])
  }

  func testAMillionSamplesAreWrittenInPieces() throws {
    var results = RunReply.Results()
    let samples = Array(0..<1_000_000)
    results.latency = .init(firstNs: 1, warmupNs: [], samplesNs: samples, atNs: [], beganNs: nil)
    var most = 0
    var json = JsonText { most = max(most, $0.count) }
    try ReplyWriter.write(&json, reply(.ok, results))
    XCTAssertLessThan(most, 1 << 17)
  }

  private func written(_ reply: RunReply) throws -> Json {
    var bytes: [UInt8] = []
    var json = JsonText { bytes += $0 }
    try ReplyWriter.write(&json, reply)
    try json.flush()
    return try Json.parse(bytes)
  }

  private func reply(_ status: RunReply.Status, _ results: RunReply.Results, _ state: RunReply.States? = nil)
    -> RunReply
  {
    RunReply(
      cell: "digits-int8-tflite-xnnpack-t2-host-quick", launch: 3, status: status, runner: runner, failure: nil,
      results: results, state: state)
  }

  private var full: RunReply {
    var results = RunReply.Results()
    var runtime = RunReply.Runtime(name: "litert", version: "2.3.0", request: .init(delegate: .xnnpack, threads: 2))
    (runtime.nodesTotal, runtime.nodesDelegated, runtime.partitions) = (31, 29, 2)
    results.runtime = runtime
    results.load = .init(firstNs: 12_345_678, warmNs: [4_000_001])
    results.latency = .init(
      firstNs: 2_500_000, warmupNs: [1_300_000, 1_210_000, 1_190_000],
      samplesNs: [1_180_000, 1_182_500, 1_179_900, 1_181_000], atNs: [], beganNs: nil)
    results.memory = .init(
      definition: "owned memory of the runner process: RssAnon + VmSwap of /proc/self/status, in bytes",
      baselineBytes: 41_943_040, loadedBytes: 45_088_768, steadyBytes: 46_137_344, peakBytes: 52_428_800,
      retainedBytes: 42_205_184, mappedBytes: 1_048_576,
      split: [
        split("baseline", 41_943_040, 60_817_408, 262_144, 0, 63_963_136),
        split("loaded", 45_088_768, 61_865_984, 262_144, 0, 68_157_440),
        split("steady", 46_137_344, 61_865_984, 262_144, 0, 69_206_016),
        split("retained", 42_205_184, 60_817_408, nil, nil, nil),
      ])
    results.outputs = .init(
      file: "outputs.bin", count: 360, tensors: [TensorSpec(name: "output_0", dtype: .float32, shape: [1, 10])])
    results.profile = [
      .init(name: "conv_0", kind: "CONV_2D", samplesNs: [610000, 605000, 607000, 604000, 606000]),
      .init(name: "head", kind: "FULLY_CONNECTED", samplesNs: [98000, 97000, 97000, 99000, 97000]),
    ]
    let states = RunReply.States(
      before: state(1_000_000_000, 29.5, 32, 81), after: state(9_000_000_000, 31, 33.5, 80),
      series: [state(5_000_000_000, 30.5, 33, 81)])
    return reply(.ok, results, states)
  }

  private func split(_ at: String, _ own: Int, _ file: Int, _ shared: Int?, _ swap: Int?, _ pss: Int?)
    -> RunReply.MemorySplit
  {
    .init(at: at, anonymousBytes: own, fileBytes: file, sharedBytes: shared, swapBytes: swap, pssBytes: pss)
  }

  private func state(_ atNs: Int, _ battery: Double, _ skin: Double, _ percent: Double) -> RunReply.StateSample {
    var state = RunReply.StateSample(atNs: atNs)
    state.thermalStatus = "none"
    state.temperaturesC = ["battery": battery, "skin": skin]
    state.cpuKhz = [1_804_800, 1_804_800, 2_841_600]
    state.governor = "schedutil"
    state.load1m = 1.25
    state.availableBytes = 3_221_225_472
    (state.batteryPercent, state.charging) = (percent, false)
    return state
  }
}
