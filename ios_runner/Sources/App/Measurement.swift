import Adapters
import AppleAdapters
import Core
import Foundation
import UIKit

/// The measurement of one job, in a thread of its own: iOS would end an app whose main thread is busy for long.
@MainActor
final class Measurement {
  private static let kind = "ios-app"
  private static let stackBytes = 8 << 20

  private let launch: Result<LaunchArguments?, any Error>

  init(arguments: [String]) {
    launch = Result { try LaunchArguments.read(arguments) }
  }

  /// What the screen says.
  var sentence: String {
    switch launch {
    case .success(.some(let launch)):
      "phonebench is measuring (\(launch.job)).\nLeave the phone alone until this closes."
    case .success(.none):
      "This app measures models for phonebench.\nThe computer on the cable starts it: phonebench run MODEL --device ios"
    case .failure(let error): "phonebench cannot start: \(error)"
    }
  }

  /// Measure and end the app: what a runtime leaves in memory must not be in the next launch.
  func start() {
    guard case .success(.some(let arguments)) = launch else { return }
    UIApplication.shared.isIdleTimerDisabled = true
    let state = AppleState()
    let info = Measurement.info
    let thread = Thread { Measurement.run(arguments, info, state) }
    thread.stackSize = Measurement.stackBytes
    thread.qualityOfService = .userInteractive
    thread.name = "phonebench-worker"
    thread.start()
  }

  private nonisolated static func run(_ arguments: LaunchArguments, _ info: RunReply.Runner, _ state: AppleState) {
    let documents = NSSearchPathForDirectoriesInDomains(.documentDirectory, .userDomainMask, true)[0]
    let libraries = Libraries(folder: Bundle.main.privateFrameworksPath ?? "")
    let adapters = portableAdapters(libraries) + [CoreMLAdapter()]
    let runner = JobRunner(adapters: adapters, info: info, state: state, trusted: trusted, keystore: EnclaveKeystore())
    // No cable reaches the caches of an app by file sharing, and no backup has them.
    let caches = NSSearchPathForDirectoriesInDomains(.cachesDirectory, .userDomainMask, true)[0]
    // Core ML compiles there.
    let job = LaunchedJob(
      arguments, documents: documents, privately: "\(caches)/phonebench", temporary: NSTemporaryDirectory(),
      runner: runner)
    do {
      try Files.makeFolder(job.place.folder)
      try Log.redirect(to: "\(job.place.folder)/log.txt")
      try job.run()
      exit(0)
    } catch {
      NSLog("phonebench cannot write the reply: %@", "\(error)")
      exit(1)
    }
  }

  /// The public key that this app was built with, nil without one.
  private nonisolated static var trusted: TrustedKey? {
    // Without a key the build leaves an empty text there.
    guard let value = Bundle.main.infoDictionary?[TrustedKey.infoKey], value as? String != "" else { return nil }
    return TrustedKey(value as? String ?? "", with: CryptoKitKey.init)
  }

  /// What this app is.
  private static var info: RunReply.Runner {
    let facts = Bundle.main.infoDictionary ?? [:]
    let version = facts["CFBundleShortVersionString"] as? String ?? "unknown"
    let digest = facts["PhonebenchRunnerDigest"] as? String ?? "unknown"
    #if DEBUG
      let debuggable = true
    #else
      let debuggable = false
    #endif
    return RunReply.Runner(kind: kind, version: "\(version)+\(digest)", debuggable: debuggable)
  }
}
