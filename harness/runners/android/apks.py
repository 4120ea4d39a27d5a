"""The Android runner's apps: built from ``android_runner/``, found again, and known by version and signer.

A driver that installs them asks `current_apks` for what a phone needs; what is not there, or not of the sources as they
are now, is built. Layer: it stands before the devices, which install what it makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from harness.runners.android.build import ApkOptions, Workshop, build_apk
from harness.runners.android.keys import SigningKey, own_key
from harness.runners.android.records import Abi, BuiltApk, Runtime
from harness.runners.android.store import FOLDER, built_apks, is_current
from harness.runners.android.tools import Toolbox


def default_workshop(*, sdk: Path | None = None, out: Path | None = None, work: Path | None = None) -> Workshop:
    """Return the usual places: tools in PATH, what is fetched in the user's cache, APKs beside the sources."""
    from platformdirs import user_cache_path

    folder = work or user_cache_path("phonebench") / "android"
    return Workshop(tools=Toolbox(sdk=sdk), work=folder.absolute(), out=(out or FOLDER).absolute())


def default_key(tools: Toolbox) -> SigningKey:
    """Return the key of this user, made when there is none yet. Raises `BuildError`."""
    from platformdirs import user_data_path

    return own_key(user_data_path("phonebench"), tools)


def current_apks(
    runtimes: Iterable[Runtime],
    abi: Abi,
    *,
    shop: Workshop | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[Runtime, BuiltApk]:
    """Return an APK for each of ``runtimes`` that runs on ``abi`` and is of the sources as they are now.

    What is missing or old is built and signed with this user's key; ``say`` hears of each build. An APK that was built
    otherwise (another library, debuggable) is kept as long as its sources are the same. Raises `BuildError`.
    """
    place = shop or default_workshop()
    found = built_apks(place.out)
    apks: dict[Runtime, BuiltApk] = {}
    for runtime in runtimes:
        apk = found.get(runtime)
        if apk is None or abi not in apk.abis or not is_current(apk):
            say(f"building the {runtime.value} app for {abi.value}")
            abis = tuple(sorted({abi, *(apk.abis if apk else ())}))
            apk = build_apk(runtime, ApkOptions(abis=abis), default_key(place.tools), place)
        apks[runtime] = apk
    return apks
