"""A phone for the driver: the virtual one, behind each of the two real adb servers."""

from __future__ import annotations

import pytest

from harness.devices.android.cable import Cable
from harness.devices.android.link import Server
from tests.vphone.conftest import adb_server, phone
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import AdbServer

__all__ = ["adb_server", "phone"]


@pytest.fixture
def cable(adb_server: AdbServer, phone: VirtualPhone) -> Cable:
    """The driver's own connection to the phone."""
    return Cable(Server(port=adb_server.port), phone.address)
