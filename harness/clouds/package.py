"""The archive that goes to a cloud, and the commands that its host runs.

It holds phonebench as it is installed here, so both sides are of one version; the packages that it needs are installed
there. No program of this computer is sent, and no path of it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.resources
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path
from typing import cast

import tomli_w

from harness.clouds.cloud import EXIT_CODE_FILE, RESULT_FILE
from harness.devices.android.app.apps import built_here
from harness.errors import SignatureError, UsageError
from harness.signing.coverage import signature_of
from harness.spec.formats import FORMATS
from harness.spec.profiles import ProfileName
from harness.system.files import storage_errors
from harness.wire import Format

SCRIPT = "measure.sh"
# Clouds have no others any more.
ABIS = ("arm64-v8a", "armeabi-v7a")
_SKIPPED = ("__pycache__", "bundled_models")


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRun:
    """What to measure: ready-made files, the runner apps of their formats, and the profile.

    ``signed``: the digests that each file may have, if signatures are required.
    """

    files: tuple[Path, ...]
    apks: tuple[Path, ...]
    profile: ProfileName
    signed: Mapping[Path, frozenset[str]] = field(default_factory=dict)


def formats_of(files: Sequence[Path]) -> tuple[Format, ...]:
    """Return the formats of ready-made files. Raises `UsageError` for a file that no phone runs, or that is missing."""
    by_suffix = {f".{format_.value}": format_ for format_, row in FORMATS.items() if row.android_runtime is not None}
    for path in files:
        if path.suffix not in by_suffix or not path.is_file():
            msg = (
                f"{str(path)!r} is not a ready-made file ({', '.join(by_suffix)}): a cloud gets files and builds none; "
                "to build one: phonebench build"
            )
            raise UsageError(msg)
    return tuple(dict.fromkeys(by_suffix[path.suffix] for path in files))


def apps_for(files: Sequence[Path], folder: Path | None) -> tuple[Path, ...]:
    """Return the APK of each format's runner app for the phones of clouds. Raises `UsageError` for one not built."""
    source = built_here(folder)
    runtimes = [FORMATS[format_].android_runtime or "" for format_ in formats_of(files)]
    apks = [source(runtime, ABIS) for runtime in runtimes]
    missing = [runtime for runtime, apk in zip(runtimes, apks, strict=True) if apk is None]
    if missing:
        msg = f"the runner app of {missing[0]} is not built; run: phonebench runner build android -r {missing[0]}"
        raise UsageError(msg)
    return tuple(apk.path for apk in apks if apk is not None)


def write_package(run: CloudRun, target: Path) -> Path:
    """Write the archive of ``run`` to ``target`` and return its path. Raises `UsageError` or `StoreError`."""
    formats = formats_of(run.files)
    names = [f"files/{number}-{path.name}" for number, path in enumerate(run.files, 1)]
    spec = {"model": names, "device": ["android"], "profile": run.profile.value}
    with storage_errors(target.parent), zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        _add_harness(archive)
        for name, path in zip(names, run.files, strict=True):
            archive.write(path, name)
            if signature_of(path).is_file():
                archive.write(signature_of(path), signature_of(Path(name)).as_posix())
        for path in run.apks:
            for file in sorted(path.parent.glob(f"{path.stem}*")):
                archive.write(file, f"apks/{file.name}")
        archive.writestr("spec.toml", tomli_w.dumps(spec))
        archive.writestr("requirements.txt", "\n".join(requirements(formats)) + "\n")
        archive.writestr(SCRIPT, script())
    _refuse_changed(target, dict(zip(names, run.files, strict=True)), run.signed)
    return target


def _refuse_changed(package: Path, names: Mapping[str, Path], signed: Mapping[Path, frozenset[str]]) -> None:
    """Raise `SignatureError` if a file in the archive is not the one that was verified."""
    with storage_errors(package.parent), zipfile.ZipFile(package) as archive:
        for name, path in names.items():
            with archive.open(name) as file:
                digest = hashlib.file_digest(cast("BufferedIOBase", file), "sha256").hexdigest()
            if path in signed and digest not in signed[path]:
                msg = f"{str(path)!r} changed after its signature was verified: nothing was sent"
                raise SignatureError(msg)


def script() -> str:
    """Return the script that measures on the host beside the phone.

    ``OUT`` is the folder that the cloud keeps. Whatever phonebench says of the run, its archive is written, because a
    cloud keeps no files of a script that failed early.
    """
    return f"""\
#!/usr/bin/env bash
set -uo pipefail
cd "$(dirname "$0")"
export PYTHONPATH="$PWD" PHONEBENCH_CACHE="$PWD/cache"
python="${{PYTHON:-python3}}" device="${{DEVICE:-android}}"
mkdir -p results
"$python" -m harness runner install android --apks apks --device "$device" 2>&1 | tee results/install.txt
code=0
"$python" -m harness run --spec spec.toml --device "$device" --results results >results/run.txt 2>&1 || code=$?
cat results/run.txt
echo "$code" >results/{EXIT_CODE_FILE}
tar -czf "$OUT/{RESULT_FILE}" results
"""


def requirements(formats: Sequence[Format]) -> list[str]:
    """Return the packages that the host needs: phonebench's own, and those of the extras for phones and ``formats``."""
    extras = {"android", *(extra for format_ in formats for extra in FORMATS[format_].runtime_extras)}
    found: list[str] = []
    for line in importlib.metadata.requires("phonebench") or ():
        name, _, marker = line.partition(";")
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", marker)
        # A marker about systems is for pip to judge, without the part about extras.
        rest = re.sub(r"(?: and )?extra == ['\"][\w-]+['\"]", "", marker).strip()
        if (extra is None or extra[1] in extras) and not name.startswith("phonebench"):
            found.append(f"{name.strip()}; {rest}" if rest else name.strip())
    return found


def _add_harness(archive: zipfile.ZipFile) -> None:
    root = Path(str(importlib.resources.files("harness")))
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and not any(part in _SKIPPED for part in parts):
            archive.write(path, "/".join(("harness", *parts)))
