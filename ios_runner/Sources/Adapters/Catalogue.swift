import Core

/// The adapters that run on a computer as they do in the app.
public func desktopAdapters(_ libraries: Libraries) -> [any RuntimeAdapter] {
  [OnnxAdapter(libraries), TfliteAdapter(libraries)]
}
