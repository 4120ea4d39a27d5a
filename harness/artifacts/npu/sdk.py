"""Qualcomm's SDK (QNN, also called QAIRT) on the user's disk: whether a folder is one, and its libraries for phones.

The licence does not let others pass the libraries on, so phonebench ships none of them.
"""

from __future__ import annotations

import struct
from pathlib import Path

from harness.errors import UsageError

SDK_VARIABLE = "QNN_SDK_ROOT"
# The Hexagon versions that ONNX Runtime's provider knows. It ignores any other without a word.
CHIPS = ("v68", "v69", "v73", "v75", "v79", "v81")

# The host part of the SDK, without which nothing can be compiled here.
HOST_LIBRARIES = "lib/x86_64-linux-clang"
_HOST_LIBRARY = f"{HOST_LIBRARIES}/libQnnHtp.so"
# Where the two kinds of libraries are in the SDK; a plain folder with all of them works too.
_PHONE, _HEXAGON = "lib/aarch64-android", "lib/hexagon-{chip}/unsigned"
# e_machine of the ELF header: EM_AARCH64, and EM_QDSP6, which is Hexagon.
_MACHINES = {183: "64-bit ARM", 164: "Hexagon", 62: "x86-64"}


def why_no_sdk(text: str) -> str:
    """Return why the folder in ``QNN_SDK_ROOT`` is no SDK, in a sentence; empty if it is one."""
    if not text.strip():
        return f"set {SDK_VARIABLE} to the folder of Qualcomm's SDK (QAIRT), which you download under its licence"
    folder = Path(text).expanduser()
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        return f"{SDK_VARIABLE} is {text!r}, which {what}: it must be the folder of the unpacked SDK"
    if not (folder / _HOST_LIBRARY).is_file():
        inner = next((path.parents[2] for path in sorted(folder.glob(f"*/{_HOST_LIBRARY}"))), None)
        if inner is not None:
            return f"{SDK_VARIABLE} is {text!r}, but the SDK is one folder deeper: set it to {str(inner)!r}"
        return f"{SDK_VARIABLE} is {text!r}, which has no {_HOST_LIBRARY}: it must be the folder of the SDK for Linux"
    return ""


def phone_libraries(folder: Path, chip: str) -> list[Path]:
    """Return the libraries that a phone with that chip needs, from an SDK or a plain folder. Raises `UsageError`."""
    if not folder.is_dir():
        msg = f"--libraries {str(folder)!r} is no folder: name the SDK, or a folder with its libraries for phones"
        raise UsageError(msg)
    version = chip.upper()
    needed = {
        "libQnnHtp.so": (_PHONE, "64-bit ARM"),
        "libQnnSystem.so": (_PHONE, "64-bit ARM"),
        f"libQnnHtp{version}Stub.so": (_PHONE, "64-bit ARM"),
        f"libQnnHtp{version}Skel.so": (_HEXAGON.format(chip=chip), "Hexagon"),
    }
    return [_library(folder, name, place, machine) for name, (place, machine) in needed.items()]


def _library(folder: Path, name: str, place: str, machine: str) -> Path:
    found = next((path for path in (folder / place / name, folder / name) if path.is_file()), None)
    if found is None:
        msg = f"--libraries {str(folder)!r} has no {name!r}, neither there nor in {place!r}: name the SDK for that chip"
        raise UsageError(msg)
    actual = _machine(found)
    if actual != machine:
        msg = f"{str(found)!r} is a library for {actual}, but a phone needs it for {machine}: take it from {place!r}"
        raise UsageError(msg)
    return found


def _machine(path: Path) -> str:
    head = path.read_bytes()[:20]
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return "no known system"
    number: int = struct.unpack("<H", head[18:20])[0]
    return _MACHINES.get(number, f"machine {number}")
