"""The entry point for drivers that install runner apps: returns up-to-date APKs and builds those that are missing.

An APK is up to date when its version matches the current sources in ``android_runner/``.
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
    """Return the default places: tools from PATH, downloads in the user's cache, APKs beside the sources."""
    from platformdirs import user_cache_path

    folder = work or user_cache_path("phonebench") / "android"
    return Workshop(tools=Toolbox(sdk=sdk), work=folder.absolute(), out=(out or FOLDER).absolute())


def default_key(tools: Toolbox) -> SigningKey:
    """Return this user's signing key, created on first use. Raises `BuildError`."""
    from platformdirs import user_data_path

    return own_key(user_data_path("phonebench"), tools)


def current_apks(
    runtimes: Iterable[Runtime],
    abi: Abi,
    *,
    shop: Workshop | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> dict[Runtime, BuiltApk]:
    """Return an APK for each of ``runtimes`` that runs on ``abi`` and was built from the current sources.

    Missing and outdated APKs are built and signed with this user's key; ``say`` is called before each build. An APK
    that was built with other options (another library, debuggable) is kept while its sources are unchanged. Raises
    `BuildError`.
    """
    place = shop or default_workshop()
    existing = built_apks(place.out)
    apks: dict[Runtime, BuiltApk] = {}
    for runtime in runtimes:
        apk = existing.get(runtime)
        if apk is None or abi not in apk.abis or not is_current(apk):
            say(f"building the {runtime.value} app for {abi.value}")
            abis = tuple(sorted({abi, *(apk.abis if apk else ())}))
            apk = build_apk(runtime, ApkOptions(abis=abis), default_key(place.tools), place)
        apks[runtime] = apk
    return apks
