"""Device ``android``: a phone at the computer, reached through the adb server, measured by the runner apps on it."""
