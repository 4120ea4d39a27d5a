import UIKit

@main
final class AppDelegate: UIResponder, UIApplicationDelegate {}

/// The app's only scene. Launched with a job it measures, with the screen on, and ends; opened by hand it says what it
/// is.
final class SceneDelegate: UIResponder, UIWindowSceneDelegate {
  var window: UIWindow?

  func scene(_ scene: UIScene, willConnectTo session: UISceneSession, options: UIScene.ConnectionOptions) {
    guard let scene = scene as? UIWindowScene else { return }
    let window = UIWindow(windowScene: scene)
    let measurement = Measurement(arguments: Array(CommandLine.arguments.dropFirst()))
    window.rootViewController = StatusController(measurement.sentence)
    window.makeKeyAndVisible()
    self.window = window
    measurement.start()
  }
}

/// One text in the middle of the screen.
final class StatusController: UIViewController {
  private let text: String

  init(_ text: String) {
    self.text = text
    super.init(nibName: nil, bundle: nil)
  }

  @available(*, unavailable)
  required init?(coder: NSCoder) {
    preconditionFailure("this app has no storyboard")
  }

  override func viewDidLoad() {
    super.viewDidLoad()
    view.backgroundColor = .black
    let label = UILabel(frame: view.bounds.insetBy(dx: 24, dy: 24))
    label.autoresizingMask = [.flexibleWidth, .flexibleHeight]
    label.numberOfLines = 0
    label.textAlignment = .center
    label.textColor = .white
    label.text = text
    view.addSubview(label)
  }
}
