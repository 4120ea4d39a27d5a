"""Virtual Android phones side by side, for the soak test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.devices.android.adb.cable import Cable
from harness.devices.android.adb.link import Server
from harness.devices.android.hold.tether import PhoneOptions
from harness.devices.android.phone import open_phone
from tests.devices.android.apks import TinyApk, apk_source, tiny
from tests.devices.soaking import Fleet, soak
from tests.vphone.apkmaker import ApkMaker
from tests.vphone.apps import Launch, Program
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb, AdbServer, adb_binary

APP = Path(__file__).parents[1] / "echo_app.py"
# Chosen so that some unpluggings cost a cell and others nothing.
BACK_S = 1.5


def echo_program(name: str) -> Program:
    """The app of the phone called ``name``."""

    def command(launch: Launch) -> list[str]:
        return [sys.executable, "-S", "-E", str(APP), str(launch.files / "jobs" / launch.extras["job"]), name]

    return command


@contextmanager
def made_fleet(folder: Path, count: int) -> Iterator[Fleet]:
    """That many phones, on a server and with an app of their own."""
    binary = adb_binary(Adb.WHEEL)
    assert binary is not None
    (folder / "apks").mkdir()
    apk = tiny(ApkMaker(folder / "apks"))
    with AdbServer(folder / "home", binary) as server, fleet_on(server, apk, folder, count) as fleet:
        yield fleet


@contextmanager
def fleet_on(server: AdbServer, apk: TinyApk, folder: Path, count: int) -> Iterator[Fleet]:
    """That many phones on one server, which finds each again when it is plugged in."""
    options = PhoneOptions(apks=apk_source(apk), back_s=BACK_S, boot_s=10)
    with ExitStack() as stack:
        phones = [stack.enter_context(VirtualPhone(folder / f"phone{n}", serial=f"vphone-{n}")) for n in range(count)]
        for phone in phones:
            phone.apps.program = echo_program(_key(phone))
            server.connect(phone)
            phone.attach(lambda phone=phone: server.adb("connect", phone.address))  # type: ignore[misc]
        by_key = {_key(phone): phone for phone in phones}
        yield Fleet(
            phones=by_key,
            open=lambda key: open_phone(Cable(Server(port=server.port), by_key[key].address), key=key, options=options),
            wait=lambda: [server.wait_state(phone, "device") for phone in phones],
        )


def _key(phone: VirtualPhone) -> str:
    return f"android:{phone.address}"


if __name__ == "__main__":
    sys.exit(soak(made_fleet))
