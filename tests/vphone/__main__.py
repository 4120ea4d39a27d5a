"""A virtual phone in its own process, until standard input ends: ``python -m tests.vphone [--api 34]``.

It prints the address for ``adb connect``. Use it to try things out by hand, and to measure: a phone in the measuring
process would take processor time from it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.vphone.desktop import class_path, desktop_program
from tests.vphone.phone import VirtualPhone
from tests.vphone.state import MIB


def main() -> None:
    """Switch a phone on and wait."""
    parser = argparse.ArgumentParser(prog="python -m tests.vphone", description=__doc__)
    parser.add_argument("--api", type=int, default=34, help="API level")
    parser.add_argument("--abi", default="x86_64", help="instruction set")
    parser.add_argument("--serial", default="vphone-0", help="serial number")
    parser.add_argument("--data-mib", type=int, default=2048, help="size of the storage in MiB")
    parser.add_argument("--runner", action="store_true", help="run the Java core behind am start; needs Maven")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="vphone-") as folder,
        VirtualPhone(
            Path(folder), serial=given.serial, api=given.api, abi=given.abi, data_bytes=given.data_mib * MIB
        ) as phone,
    ):
        if given.runner:
            phone.apps.program = desktop_program(class_path())
        print(phone.address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
