// swift-tools-version: 6.0
import PackageDescription

let package = Package(
  name: "PhonebenchRunner",
  platforms: [.iOS(.v15), .macOS(.v12)],
  products: [
    .library(name: "Core", targets: ["Core"]),
    .library(name: "Adapters", targets: ["Adapters"]),
    .library(name: "AppleAdapters", targets: ["AppleAdapters"]),
  ],
  targets: [
    .target(name: "CProbe"),
    .target(name: "Core", dependencies: ["CProbe"]),
    // The header is in the folder of fetched libraries: see README.md.
    .systemLibrary(name: "COnnxRuntime"),
    .target(name: "CTFLite"),
    .target(name: "CKit"),
    .target(name: "Adapters", dependencies: ["Core", "COnnxRuntime", "CTFLite", "CKit"]),
    // Empty on Linux, where the tests check its types against modules of our own.
    .target(name: "AppleAdapters", dependencies: ["Core"]),
    // `App` is no target here: Xcode compiles it (project.yml), and the tests check its types.
    .executableTarget(name: "desktop", dependencies: ["Core", "Adapters"]),
    // Only for the tests: what the loop costs, and that it allocates nothing.
    .target(name: "CAllocations"),
    .executableTarget(name: "loopcost", dependencies: ["Core", "Adapters", "CAllocations"]),
    .testTarget(name: "CoreTests", dependencies: ["Core", "Adapters"]),
  ],
  swiftLanguageModes: [.v6]
)
