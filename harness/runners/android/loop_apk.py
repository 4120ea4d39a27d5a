"""Packs a job into a runner app: requests and files as assets, and the manifest that lets Firebase Test Lab start it.

The app is the one that `build` made, with the same code. So nothing is compiled, and only the signature is new.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BuildError
from harness.runners.android.archive import Entry, write_archive
from harness.runners.android.build import LOOP_MANIFEST, sign_apk
from harness.runners.android.keys import SigningKey
from harness.runners.android.manifest import RIGHT_WITH_LOOP, check_components
from harness.runners.android.records import BuiltApk
from harness.runners.android.tools import Toolbox
from harness.runners.android.verify import signer

# Where the app looks for its job (`LoopJob.java`).
FOLDER = "assets/phonebench"
_MANIFEST = "AndroidManifest.xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopCargo:
    """A job for one app: the bytes of the request of each launch, in order, and the files by their digests.

    ``job`` is a plain name; the app rests ``rest_ms`` before each launch but the first.
    """

    job: str
    requests: Sequence[bytes]
    files: Mapping[str, Path]
    rest_ms: int = 0


def pack_loop_apk(built: BuiltApk, cargo: LoopCargo, target: Path, key: SigningKey, tools: Toolbox) -> Path:
    """Write a signed copy of ``built`` with ``cargo`` inside to ``target``. Raises `BuildError`, `OSError`.

    A file that does not have its digest is refused, because the phone would refuse it half an hour later.
    """
    unsigned = target.with_suffix(".unsigned")
    with zipfile.ZipFile(built.path) as source:
        write_archive(unsigned, _entries(source, built, cargo))
    sign_apk(unsigned, target, key, tools)
    unsigned.unlink()
    check_components(target, tools, RIGHT_WITH_LOOP)
    signer(target, tools)
    return target


def _entries(source: zipfile.ZipFile, built: BuiltApk, cargo: LoopCargo) -> Iterator[Entry]:
    names = source.namelist()
    if LOOP_MANIFEST not in names:
        msg = (
            f"the runner app {built.path.name!r} was built before it could carry a job; "
            f"run: phonebench runner build android -r {built.runtime.value}"
        )
        raise BuildError(msg)
    for name in names:
        if name not in (LOOP_MANIFEST, _MANIFEST) and not name.startswith(f"{FOLDER}/"):
            yield Entry(name=name, data=source.read(name))
    yield Entry(name=_MANIFEST, data=source.read(LOOP_MANIFEST))
    facts = f"job={cargo.job}\nrest_ms={cargo.rest_ms}\n"
    yield Entry(name=f"{FOLDER}/loop.properties", data=facts.encode("ascii"))
    for number, request in enumerate(cargo.requests, 1):
        yield Entry(name=f"{FOLDER}/{number}.json", data=request)
    for sha256, path in cargo.files.items():
        yield Entry(name=f"{FOLDER}/store/{sha256}", data=_checked(path, sha256))


def _checked(path: Path, sha256: str) -> bytes:
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        msg = f"the file {str(path)!r} has changed: got sha256 {digest}, expected {sha256}; build it again"
        raise BuildError(msg)
    return data
