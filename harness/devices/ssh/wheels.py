"""The runtimes for a board: wheels that this computer fetches for the board's Python, machine and C library.

A board needs no pip and no network. A set of wheels is fetched once per combination and kept in the user's cache; each
wheel travels to a board once, under its digest.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from harness.devices.ssh.troubles import board_error
from harness.errors import BoardTrouble
from harness.spec.formats import FORMATS
from harness.system.files import file_sha256, json_sha256, write_whole
from harness.wire import Format

# What the runner needs in any case, then what each format's runtime is called. Their versions are those that phonebench
# itself is installed with.
_ALWAYS = ("numpy", "msgspec")
RUNTIMES: dict[Format, tuple[str, ...]] = {
    Format.ONNX: ("onnxruntime",),
    Format.TFLITE: ("ai-edge-litert",),
    Format.PTE: ("torch", "executorch"),
    Format.PTL: ("torch",),
}
# PyTorch takes half a gigabyte on the board, so these are put there only when asked for.
ON_REQUEST = frozenset({Format.PTE, Format.PTL})
MACHINES = ("aarch64", "x86_64")
_INDEX = "index.json"
_PIP_S = 1800.0
# The oldest C libraries that wheels are still built for, and the names from before they were numbered.
_OLDEST_GLIBC = 17
_OLD_NAMES = ("manylinux2014",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What decides which wheels fit: the machine, Python as ``3.11``, and the minor version of glibc 2."""

    machine: str
    python: str
    glibc: int

    def pip_options(self) -> list[str]:
        """Return the options that make pip choose wheels for this target instead of this computer."""
        numbered = [f"manylinux_2_{minor}" for minor in range(self.glibc, _OLDEST_GLIBC - 1, -1)]
        platforms = [f"{name}_{self.machine}" for name in (*numbered, *_OLD_NAMES)]
        abi = f"cp{self.python.replace('.', '')}"
        chosen = [part for platform in platforms for part in ("--platform", platform)]
        return [
            "--only-binary=:all:",
            "--implementation=cp",
            f"--abi={abi}",
            f"--python-version={self.python}",
            *chosen,
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One wheel file, its digest, and the size of its content."""

    path: Path
    sha256: str
    unpacked_bytes: int


def target_of(facts: Mapping[str, Any]) -> Target:
    """Return the target of a board whose facts have been checked."""
    python = ".".join(str(facts["python"]).split(".")[:2])
    minor = re.match(r"glibc 2\.(\d{1,3})\b", str(facts["libc"]))
    return Target(machine=str(facts["machine"]), python=python, glibc=int(minor[1]) if minor else _OLDEST_GLIBC)


def known_wheels(format_: Format, target: Target, cache: Path, given: Path | None) -> tuple[Wheel, ...] | None:
    """Return the wheels of a runtime if they were fetched before, else None."""
    folder = _folder(format_, target, cache, given)
    try:
        rows = msgspec.json.decode((folder / _INDEX).read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    wheels = tuple(
        Wheel(path=folder / row["path"], sha256=row["sha256"], unpacked_bytes=row["unpacked_bytes"]) for row in rows
    )
    return wheels if all(wheel.path.is_file() for wheel in wheels) else None


def fetch_wheels(format_: Format, target: Target, cache: Path, given: Path | None, *, board: str) -> tuple[Wheel, ...]:
    """Return the wheels of a runtime, fetched or taken from the folder ``given``. Raises `BoardError`."""
    fetched = known_wheels(format_, target, cache, given)
    if fetched is not None:
        return fetched
    folder = _folder(format_, target, cache, given)
    folder.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix="fetching-", dir=folder.parent))
    try:
        _download(requirements(format_), target, half, given, board=board)
        wheels = [read_wheel(path, board=board) for path in sorted(half.glob("*.whl"))]
        rows = [asdict(wheel) | {"path": wheel.path.name} for wheel in wheels]
        write_whole(half / _INDEX, msgspec.json.encode(rows))
        shutil.rmtree(folder, ignore_errors=True)
        half.replace(folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return known_wheels(format_, target, cache, given) or ()


def requirements(format_: Format) -> tuple[str, ...]:
    """Return what to install for files of ``format_``, in the versions that phonebench declares."""
    declared = _declared()
    return tuple(declared.get(name, name) for name in (*RUNTIMES[format_], *_ALWAYS))


def _declared() -> dict[str, str]:
    """The requirements of phonebench by package, without their markers."""
    texts = (text.partition(";")[0].strip() for text in metadata.requires("phonebench") or ())
    return {re.split(r"[^\w.-]", text, maxsplit=1)[0]: text for text in texts}


def _folder(format_: Format, target: Target, cache: Path, given: Path | None) -> Path:
    key = {"requirements": requirements(format_), "target": asdict(target), "given": _listing(given)}
    return cache / "board-wheels" / f"{FORMATS[format_].android_runtime}-{target.machine}-{json_sha256(key)[:16]}"


def _listing(given: Path | None) -> list[list[Any]]:
    """The content of the user's folder, so that a new wheel in it is noticed."""
    if given is None:
        return []
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in sorted(given.glob("*.whl"))]


def _download(needs: tuple[str, ...], target: Target, folder: Path, given: Path | None, *, board: str) -> None:
    source = [] if given is None else ["--no-index", "--find-links", str(given)]
    arguments = [*target.pip_options(), *needs]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    environment = os.environ | {"PIP_NO_COLOR": "1"}
    try:
        done = subprocess.run(
            [*command, *source, "--dest", str(folder), *arguments],
            capture_output=True, text=True, timeout=_PIP_S, check=False, env=environment,
        )  # fmt: skip
        output = done.stderr if done.returncode else ""
    except (OSError, subprocess.SubprocessError) as error:
        output = str(error)
    if not output:
        return
    by_hand = f"pip download --dest WHEELS {' '.join(_quoted(part) for part in arguments)}"
    if "No module named pip" in output:
        advice = f"install it with: {sys.executable} -m ensurepip"
    elif given is not None:
        advice = f"add them to {str(given)!r}: {by_hand}"
    else:
        advice = f"where there is a network, run: {by_hand}; then run again with --wheels WHEELS"
    what = (
        f"needs {' '.join(needs[: -len(_ALWAYS)])} for Python {target.python} on {target.machine}, which pip cannot get"
    )
    raise board_error(
        BoardTrouble.WHEELS, board, what, output=_reason(output), command=" ".join(command), advice=advice
    )


def _reason(output: str) -> str:
    """The line in which pip says what is wrong."""
    lines = [line.removeprefix("ERROR: ") for line in output.splitlines() if line.startswith("ERROR")]
    return (lines or output.strip().splitlines() or [""])[0]


def _quoted(part: str) -> str:
    return f"'{part}'" if re.search(r"[<>=~!]", part) and not part.startswith("--") else part


def read_wheel(path: Path, *, board: str) -> Wheel:
    """Return the facts about a wheel. Raises `BoardError` if the file is not a wheel, or is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
        return Wheel(path=path, sha256=file_sha256(path), unpacked_bytes=unpacked)
    # RuntimeError: an unknown version of zip. ValueError: a name that is not UTF-8.
    except (OSError, zipfile.BadZipFile, RuntimeError, ValueError) as error:
        what = f"cannot be given {path.name!r}, which is not a wheel or is damaged ({error})"
        raise board_error(BoardTrouble.WHEELS, board, what) from error
