"""Virtual iPhones side by side, for the soak test: every other one behind a tunnel."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.devices.ios.environment import make_environment
from harness.devices.ios.hold import IosOptions
from harness.devices.ios.ipa import read_ipa
from harness.devices.ios.phone import open_iphone
from tests.devices.soaking import Fleet, soak
from tests.viphone.apps import Launch, Program
from tests.viphone.ipamaker import IpaMaker, IpaPlan
from tests.viphone.iphone import VirtualIPhone
from tests.viphone.state import IPhoneState
from tests.viphone.trust import DeviceKey
from tests.viphone.usbmuxd import Usbmuxd

APP = Path(__file__).parents[1] / "echo_app.py"
# Chosen so that some unpluggings cost a cell and others nothing. Cables are pulled less often than those of Android
# phones, because opening an iPhone starts a process, which takes seconds on a busy computer.
BACK_S, PAUSE_S, AWAY_S = 6.0, (1.5, 5.0), (0.05, 1.0, 8.0)
SYSTEMS = ("16.7", "17.4")


def echo_program(name: str) -> Program:
    """The app of the phone called ``name``."""

    def command(launch: Launch) -> list[str]:
        job = launch.arguments[launch.arguments.index("--job") + 1]
        folder = launch.documents / "phonebench" / "jobs" / job
        return [sys.executable, "-S", "-E", str(APP), str(folder), name, "ios-app"]

    return command


@contextmanager
def made_fleet(folder: Path, count: int) -> Iterator[Fleet]:
    """That many phones, on a daemon of their own to which this process and its children talk."""
    python, before = make_environment(), os.environ.get("USBMUXD_SOCKET_ADDRESS")
    with Usbmuxd() as daemon, ExitStack() as stack:
        os.environ["USBMUXD_SOCKET_ADDRESS"] = daemon.address
        key, ipa = DeviceKey.make(folder), read_ipa(IpaMaker(folder).make(IpaPlan(devices=None)))
        phones: dict[str, VirtualIPhone] = {}
        for number in range(count):
            # No other process may have the same phones: one is measured by one run at a time.
            udid = f"00008120-{os.getpid():08X}{number:08X}"
            state = IPhoneState(udid=udid, ios=SYSTEMS[number % len(SYSTEMS)])
            phone = stack.enter_context(VirtualIPhone(folder / udid, daemon, key, state))
            phone.apps.program = echo_program(f"ios:{udid}")
            phones[f"ios:{udid}"] = phone
        options = IosOptions(ipa=ipa, back_s=BACK_S, trust_s=0.0)

        def plug_all() -> None:
            for phone in phones.values():
                phone.plug()

        try:
            yield Fleet(
                phones=phones,
                open=lambda key: open_iphone(phones[key].state.udid, python, key=key, options=options),
                wait=plug_all,
                pause_s=PAUSE_S,
                away_s=AWAY_S,
            )
        finally:
            if before is None:
                del os.environ["USBMUXD_SOCKET_ADDRESS"]
            else:
                os.environ["USBMUXD_SOCKET_ADDRESS"] = before


if __name__ == "__main__":
    sys.exit(soak(made_fleet))
