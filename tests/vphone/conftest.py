"""The fixtures of the virtual phone for the tests in this folder; others import them from ``fixtures``."""

from tests.vphone.fixtures import adb_server, apks, bare_phone, desktop, phone, runner_phone

__all__ = ["adb_server", "apks", "bare_phone", "desktop", "phone", "runner_phone"]
