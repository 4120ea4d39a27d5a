"""The folder of built APKs, each with its facts in a JSON file beside it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.runners.android.identity import SOURCES
from harness.runners.android.records import Abi, ApkFacts, BuiltApk, Runtime
from harness.system.decoding import decode_json
from harness.system.files import file_sha256, write_whole

# In the checkout, because an APK's version refers to the sources there.
FOLDER = SOURCES / "apks"


def apk_path(folder: Path, runtime: Runtime, abi: Abi | None = None) -> Path:
    """Return the path of the APK of ``runtime`` in ``folder``; without ``abi``, that of an APK for several."""
    return folder / f"phonebench-{runtime.value}{f'-{abi.value}' if abi else ''}.apk"


def keep(path: Path, facts: ApkFacts) -> BuiltApk:
    """Write the facts of an APK beside it. Raises `OSError`."""
    write_whole(_record(path), msgspec.json.format(msgspec.json.encode(facts), indent=2))
    return BuiltApk(path=path, facts=facts)


def forget(path: Path) -> None:
    """Remove an APK with its facts, if it is there. Raises `OSError`."""
    for file in (_record(path), path):
        file.unlink(missing_ok=True)


def built_apks(folder: Path | None = None) -> dict[Runtime, tuple[BuiltApk, ...]]:
    """Return the intact APKs in ``folder`` by runtime, leaving out truncated and damaged ones.

    They may have been built from older sources.
    """
    apks = {
        runtime: tuple(apk for abi in (*Abi, None) if (apk := _intact(apk_path(folder or FOLDER, runtime, abi))))
        for runtime in Runtime
    }
    return {runtime: found for runtime, found in apks.items() if found}


def _intact(path: Path) -> BuiltApk | None:
    try:
        facts = decode_json(_record(path).read_bytes(), ApkFacts)
        return BuiltApk(path=path, facts=facts) if file_sha256(path) == facts.sha256 else None
    except (OSError, msgspec.MsgspecError):
        return None


def _record(path: Path) -> Path:
    return path.with_suffix(".json")
