"""The APKs that were built, each with the record of what it is beside it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.runners.android.identity import SOURCES, version_name
from harness.runners.android.records import ApkFacts, BuiltApk, Runtime
from harness.runners.android.verify import file_sha256
from harness.system.files import write_whole

# In the checkout, beside the sources that they name in their version.
FOLDER = SOURCES / "apks"


def apk_path(folder: Path, runtime: Runtime) -> Path:
    """Return where the APK of ``runtime`` is in ``folder``."""
    return folder / f"phonebench-{runtime.value}.apk"


def keep(path: Path, facts: ApkFacts) -> BuiltApk:
    """Write the record of an APK beside it. Raises `OSError`."""
    write_whole(_record(path), msgspec.json.format(msgspec.json.encode(facts), indent=2))
    return BuiltApk(path=path, facts=facts)


def built_apks(folder: Path | None = None) -> dict[Runtime, BuiltApk]:
    """Return the APKs in ``folder`` that are whole, by runtime; one that is missing, cut off or damaged is not there.

    Whether an APK is of the sources as they are now is `is_current`.
    """
    found: dict[Runtime, BuiltApk] = {}
    for runtime in Runtime:
        path = apk_path(folder or FOLDER, runtime)
        try:
            facts = msgspec.json.decode(_record(path).read_bytes(), type=ApkFacts)
            whole = file_sha256(path) == facts.sha256
        except (OSError, msgspec.MsgspecError):
            continue
        if whole:
            found[runtime] = BuiltApk(path=path, facts=facts)
    return found


def is_current(apk: BuiltApk, sources: Path | None = None) -> bool:
    """Return whether an APK is what the sources make now. Raises `BuildError` where there are no sources."""
    facts = apk.facts
    now = version_name(
        facts.runtime,
        abis=facts.abis,
        library_sha256=facts.library_sha256,
        debuggable=facts.debuggable,
        folder=sources,
    )
    return now == facts.version_name


def _record(path: Path) -> Path:
    return path.with_suffix(".json")
