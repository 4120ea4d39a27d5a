// What the runner uses of Apple's UIKit, and of Foundation beyond Linux, declared by ourselves so that the types of the
// app can be checked without Apple's SDK. See CoreML.swift.
@_exported import Foundation

public struct CGRect: Sendable {
  public func insetBy(dx: CGFloat, dy: CGFloat) -> CGRect { self }
}

@MainActor
open class UIResponder: NSObject {}

@MainActor
public protocol UIApplicationDelegate: NSObjectProtocol {}

extension UIApplicationDelegate {
  public static func main() {}
}

@MainActor
open class UIApplication: UIResponder {
  public class var shared: UIApplication { UIApplication() }
  open var isIdleTimerDisabled = false
}

@MainActor
open class UIScene: UIResponder {
  @MainActor
  open class ConnectionOptions: NSObject {}
}

@MainActor
open class UIWindowScene: UIScene {}

@MainActor
open class UISceneSession: NSObject {}

@MainActor
public protocol UISceneDelegate: NSObjectProtocol {
  func scene(_ scene: UIScene, willConnectTo session: UISceneSession, options: UIScene.ConnectionOptions)
}

@MainActor
public protocol UIWindowSceneDelegate: UISceneDelegate {
  var window: UIWindow? { get set }
}

@MainActor
open class UIColor: NSObject {
  open class var black: UIColor { UIColor() }
  open class var white: UIColor { UIColor() }
}

@MainActor
open class UIView: UIResponder {
  public struct AutoresizingMask: OptionSet, Sendable {
    public let rawValue: UInt
    public init(rawValue: UInt) { self.rawValue = rawValue }
    public static let flexibleWidth = AutoresizingMask(rawValue: 2)
    public static let flexibleHeight = AutoresizingMask(rawValue: 16)
  }
  public override init() {}
  public init(frame: CGRect) {}
  open var backgroundColor: UIColor?
  open var bounds: CGRect { CGRect() }
  open var autoresizingMask: AutoresizingMask = []
  open func addSubview(_ view: UIView) {}
}

@MainActor
open class UIWindow: UIView {
  public init(windowScene: UIWindowScene) { super.init(frame: CGRect()) }
  open var rootViewController: UIViewController?
  open func makeKeyAndVisible() {}
}

@MainActor
open class UIViewController: UIResponder {
  public init(nibName nibNameOrNil: String?, bundle nibBundleOrNil: Bundle?) {}
  public required init?(coder: NSCoder) { nil }
  open var view: UIView! = UIView(frame: CGRect())
  open func viewDidLoad() {}
}

public enum NSTextAlignment: Int, Sendable {
  case left = 0
  case center = 1
}

@MainActor
open class UILabel: UIView {
  open var numberOfLines = 1
  open var textAlignment: NSTextAlignment = .left
  open var textColor: UIColor!
  open var text: String?
}

@MainActor
open class UIDevice: NSObject {
  public enum BatteryState: Int, Sendable {
    case unknown = 0
    case unplugged = 1
    case charging = 2
    case full = 3
  }
  open class var current: UIDevice { UIDevice() }
  open var isBatteryMonitoringEnabled = false
  open var batteryLevel: Float { -1 }
  open var batteryState: BatteryState { .unknown }
}

extension ProcessInfo {
  public enum ThermalState: Int, Sendable {
    case nominal = 0
    case fair = 1
    case serious = 2
    case critical = 3
  }
  public var thermalState: ThermalState { .nominal }
  public var isLowPowerModeEnabled: Bool { false }
}
