"""The folder of built APKs, each with its facts in a JSON file beside it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.runners.android.identity import SOURCES
from harness.runners.android.records import ApkFacts, BuiltApk, Runtime
from harness.system.files import file_sha256, write_whole

# In the checkout, because an APK's version refers to the sources there.
FOLDER = SOURCES / "apks"


def apk_path(folder: Path, runtime: Runtime) -> Path:
    """Return the path of the APK of ``runtime`` in ``folder``."""
    return folder / f"phonebench-{runtime.value}.apk"


def keep(path: Path, facts: ApkFacts) -> BuiltApk:
    """Write the facts of an APK beside it. Raises `OSError`."""
    write_whole(_record(path), msgspec.json.format(msgspec.json.encode(facts), indent=2))
    return BuiltApk(path=path, facts=facts)


def built_apks(folder: Path | None = None) -> dict[Runtime, BuiltApk]:
    """Return the intact APKs in ``folder`` by runtime, leaving out truncated and damaged ones.

    They may have been built from older sources.
    """
    apks: dict[Runtime, BuiltApk] = {}
    for runtime in Runtime:
        path = apk_path(folder or FOLDER, runtime)
        try:
            facts = msgspec.json.decode(_record(path).read_bytes(), type=ApkFacts)
            intact = file_sha256(path) == facts.sha256
        except (OSError, msgspec.MsgspecError):
            continue
        if intact:
            apks[runtime] = BuiltApk(path=path, facts=facts)
    return apks


def _record(path: Path) -> Path:
    return path.with_suffix(".json")
