/// A model that cannot be loaded or run: a kind, a message for people that says what to do next, and the evidence.
///
/// `unsupported` means that this build of the runtime, or this device, cannot do what was asked. That is a result, not
/// a failure.
public struct RunFailure: Error, Equatable, Sendable {
  public let kind: FailureKind
  public let message: String
  public let detail: String
  public let unsupported: Bool

  /// The most common cause, since every file has already run on the computer.
  private static let newer =
    "; if the file was made with newer tools than this app has, build the app with a newer library "
    + "(phonebench runner build ios) or make the file with older tools"
  private static let longest = 300

  public static func failed(_ kind: FailureKind, _ message: String, detail: String = "") -> RunFailure {
    RunFailure(kind: kind, message: message, detail: detail, unsupported: false)
  }

  public static func unsupported(_ kind: FailureKind, _ message: String, detail: String = "") -> RunFailure {
    RunFailure(kind: kind, message: message, detail: detail, unsupported: true)
  }

  /// The failure of an artifact that its runtime cannot load.
  public static func load(_ runtime: String, _ path: String, _ reason: String) -> RunFailure {
    let kind = kindOf(reason, otherwise: .load)
    let file = path.split(separator: "/").last.map(String.init) ?? path
    let message = "\(runtime) cannot load '\(file)': \(firstLine(reason))"
    return failed(kind, kind == .load ? message + newer : message, detail: reason)
  }

  /// The failure of a call.
  public static func call(_ runtime: String, _ reason: String) -> RunFailure {
    failed(kindOf(reason, otherwise: .run), "\(runtime) failed during a call: \(firstLine(reason))", detail: reason)
  }

  /// The first line of a reason. Messages of native code begin with the place and end with the cause, so the middle of
  /// a long one is left out.
  public static func firstLine(_ reason: String) -> String {
    let line = reason.split(separator: "\n").first.map(String.init) ?? "no reason was given"
    return line.count > longest ? "\(line.prefix(100)) … \(line.suffix(200))" : line
  }

  private static func kindOf(_ reason: String, otherwise: FailureKind) -> FailureKind {
    let signs = ["bad_alloc", "Cannot allocate memory", "Failed to allocate memory"]
    return signs.contains { reason.containsText($0) } ? .oom : otherwise
  }
}

extension String {
  /// Whether `part` occurs in the text.
  func containsText(_ part: String) -> Bool {
    let (whole, sought) = (Array(utf8), Array(part.utf8))
    guard sought.count <= whole.count else { return false }
    return (0...whole.count - sought.count).contains { whole[$0..<$0 + sought.count].elementsEqual(sought) }
  }
}
