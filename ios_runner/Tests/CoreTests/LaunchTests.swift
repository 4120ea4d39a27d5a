import XCTest

@testable import Core

final class LaunchTests: XCTestCase {
  private let digest = String(repeating: "0a", count: 32)

  func testALaunchWithAJobIsRead() throws {
    let launch = try LaunchArguments.read(["--job", "a-B_9", "--inputs", digest])
    XCTAssertEqual(launch?.job, "a-B_9")
    XCTAssertEqual(launch?.inputs, digest)
  }

  func testAnAppThatIsOpenedByHandHasNoJob() throws {
    XCTAssertNil(try LaunchArguments.read([]))
  }

  func testWrongArgumentsAreRefused() {
    let wrong = [
      ["--job"], ["--job", "../x", "--inputs", digest], ["--job", "x"], ["--job", "x", "--inputs", "0A"],
      ["--jobs", "x"], ["x"], ["--job", "", "--inputs", digest],
    ]
    for arguments in wrong { XCTAssertThrowsError(try LaunchArguments.read(arguments), "\(arguments)") }
  }

  func testADiskThatRefusesTheReplyIsAnError() throws {
    let folder = try Golden.folder(for: self)
    try File(writing: "\(folder)/phonebench").write(text: "in the way")
    let arguments = try XCTUnwrap(LaunchArguments.read(["--job", "j", "--inputs", digest]))
    let runner = JobRunner(
      adapters: [], info: .init(kind: "test", version: "1", debuggable: false), state: LinuxState())
    XCTAssertThrowsError(try LaunchedJob(arguments, documents: folder, runner: runner).run()) { error in
      XCTAssert(error is FileError, "\(error)")
    }
  }

  func testTheStateOfAComputerHasItsFreeMemory() {
    let state = LinuxState().sample()
    XCTAssertGreaterThan(state.atNs, 0)
    XCTAssertGreaterThan(state.availableBytes ?? 0, 1 << 20)
  }

  func testTheStateIsSampledWhileAJobRuns() {
    let watch = StateWatch(LinuxState(), periodMs: 5)
    let deadline = SystemClock().nanos() + 2_000_000_000
    while watch.count < 3, SystemClock().nanos() < deadline { SystemClock().sleep(1_000_000) }
    let series = watch.stop()
    XCTAssertGreaterThanOrEqual(series.count, 3)
    XCTAssertEqual(series.map(\.atNs), series.map(\.atNs).sorted())
  }
}
