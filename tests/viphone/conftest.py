"""The fixtures of the virtual iPhone for the tests in this folder; others import them from ``fixtures``."""

from tests.viphone.fixtures import device_key, ipa, ipas, iphone, iphone_16, make_iphone, usbmuxd

__all__ = ["device_key", "ipa", "ipas", "iphone", "iphone_16", "make_iphone", "usbmuxd"]
