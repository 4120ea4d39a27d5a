"""A client of the adb server, with a deadline on every call."""
