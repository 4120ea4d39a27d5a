import Core

/// The adapters whose code is the same on Linux and in the app.
public func portableAdapters(_ libraries: Libraries) -> [any RuntimeAdapter] {
  [
    OnnxAdapter(libraries), TfliteAdapter(libraries), KitAdapter.executorch(libraries), KitAdapter.torch(libraries),
  ]
}
