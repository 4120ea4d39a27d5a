"""Virtual iPhones in a process of their own, until standard input ends: ``python -m tests.viphone [--ios 17.4]``.

It prints the value for ``USBMUXD_SOCKET_ADDRESS``. Use it to try things out by hand, and to measure: a phone in the
measuring process would take processor time from it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.viphone.apps import Program, idle_program
from tests.viphone.ipamaker import IpaMaker, IpaPlan
from tests.viphone.iphone import VirtualIPhone
from tests.viphone.programs import little_program, swift_program
from tests.viphone.state import MIB, IPhoneState
from tests.viphone.trust import DeviceKey
from tests.viphone.usbmuxd import Usbmuxd


def main() -> None:
    """Switch the phones on and wait."""
    parser = argparse.ArgumentParser(prog="python -m tests.viphone", description=__doc__)
    parser.add_argument("--ios", default="17.4", help="version of iOS")
    parser.add_argument("--count", type=int, default=1, help="number of phones")
    parser.add_argument("--storage-mib", type=int, default=4096, help="size of the storage in MiB")
    parser.add_argument("--socket", type=Path, help="listen on this Unix socket instead of a port")
    parser.add_argument("--ipa", type=Path, help="write an IPA that is signed for these phones to this file")
    parser.add_argument(
        "--runner", choices=("swift", "python"), help="what runs when an app is launched; else, nothing"
    )
    given = parser.parse_args()
    program = _program(given.runner)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="viphone-")))
        daemon, key = stack.enter_context(Usbmuxd(given.socket)), DeviceKey.make(folder)
        udids = tuple(f"00008120-{number:016X}" for number in range(1, given.count + 1))
        for udid in udids:
            state = IPhoneState(udid=udid, ios=given.ios, capacity_bytes=given.storage_mib * MIB)
            phone = stack.enter_context(VirtualIPhone(folder / udid, daemon, key, state))
            phone.apps.program = program
        if given.ipa:
            IpaMaker(folder).make(IpaPlan(devices=udids)).rename(given.ipa)
        print(daemon.address, flush=True)
        sys.stdin.read()


def _program(runner: str | None) -> Program:
    match runner:
        case "swift":
            from tests.ios_runner.swift import desktop_command

            return swift_program(desktop_command())
        case "python":
            return little_program()
    return idle_program


if __name__ == "__main__":
    main()
