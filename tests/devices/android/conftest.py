"""The virtual phone for tests of the driver, behind each of two real adb servers."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from harness.devices.android.adb.cable import Cable
from harness.devices.android.adb.link import Server
from harness.devices.android.hold.tether import PhoneOptions
from harness.devices.android.phone import AndroidPhone, open_phone
from harness.devices.android.phone_store import FOLDER
from tests.devices.android.apks import TinyApk, apk_source, tiny
from tests.vphone.apkmaker import ApkMaker
from tests.vphone.apps import Launch
from tests.vphone.fixtures import adb_server, apks, bare_phone, desktop, phone, runner_phone
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import AdbServer

__all__ = ["adb_server", "apks", "bare_phone", "desktop", "phone", "runner_phone"]

STANDIN = Path(__file__).with_name("standin.py")
BACK_S = 5.0


@pytest.fixture
def cable(adb_server: AdbServer, phone: VirtualPhone) -> Cable:
    """The driver's own connection to the phone."""
    return Cable(Server(port=adb_server.port), phone.address)


@pytest.fixture(scope="session")
def onnx_apk(apks: ApkMaker) -> TinyApk:
    """The app of ONNX Runtime, without code."""
    return tiny(apks)


def standin(launch: Launch) -> list[str]:
    """The program that ``am start`` runs: this computer's own runner."""
    store = launch.root / FOLDER.lstrip("/")
    extras = launch.extras
    places = (str(launch.files), extras["job"], str(store), extras["inputs"])
    ways = (str(launch.shared or ""), extras.get("log", ""))
    asked = [str(launch.root / extras["request"].lstrip("/"))] if "request" in extras else []
    return [sys.executable, str(STANDIN), os.pathsep.join(sys.path), *places, *ways, *asked]


@pytest.fixture
def android(cable: Cable, phone: VirtualPhone, onnx_apk: TinyApk) -> Generator[AndroidPhone]:
    """The phone, opened as a device that runs the stand-in."""
    phone.apps.program = standin
    options = PhoneOptions(apks=apk_source(onnx_apk), back_s=BACK_S, boot_s=BACK_S)
    with open_phone(cable, key=f"android:{phone.address}", options=options) as opened:
        yield opened
