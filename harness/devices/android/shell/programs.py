"""Checks from the head of a program file whether a phone can run it."""

from __future__ import annotations

import struct

from harness.devices.android.advice import named
from harness.devices.android.facts import PhoneFacts
from harness.errors import DeviceError
from harness.spec.phone_settings import Binary

# Android's name for the e_machine field of an ELF file.
_MACHINES = {183: "arm64-v8a", 40: "armeabi-v7a", 62: "x86_64", 3: "x86"}
# e_machine ends at byte 20, in 32-bit and 64-bit files alike.
_HEAD_BYTES = 20
_ELF, _SCRIPT = b"\x7fELF", b"#!"


def check_binary(binary: Binary, facts: PhoneFacts) -> None:
    """Raise `DeviceError` unless the program is built for one of the phone's instruction sets.

    A script is accepted: it may prepare the environment of a program and start it.
    """
    try:
        with binary.path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        msg = f"cannot read the program {str(binary.path)!r}: {error.strerror}; check the path"
        raise DeviceError(msg) from error
    if head.startswith(_SCRIPT):
        return
    if not head.startswith(_ELF) or len(head) < _HEAD_BYTES:
        msg = f"{str(binary.path)!r} is not a program: give the executable for Android, not its APK or an archive"
        raise DeviceError(msg)
    (machine,) = struct.unpack_from("<H", head, _HEAD_BYTES - 2)
    abi = _MACHINES.get(machine, f"machine {machine}")
    if facts.abis and abi not in facts.abis:
        supported = " or ".join(facts.abis)
        msg = f"{str(binary.path)!r} is for {abi}, but {named(facts.serial)} runs {supported}: give a build for that"
        raise DeviceError(msg)
