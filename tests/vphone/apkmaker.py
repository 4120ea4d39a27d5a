"""Makes small signed APKs that a phone installs: a manifest, no code, and libraries that consist of a header.

They are built by the real tools, so the code that reads APKs is tested on real ones.
"""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from tests.runners.android.test_apk_elf import elf64

FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
TOOLS = ("aapt2", "zipalign", "apksigner", "keytool")
PASSWORD = "pass:android"
# The kind of an ELF segment that is loaded.
LOAD = 1
# Where the build of the runner apps puts the public key.
KEY = "META-INF/phonebench/signing-key.pem"
ACTIVITY = "org.phonebench.runner.RunnerActivity"
MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package={package}
    android:versionCode="{version_code}" android:versionName={version_name}>
  <uses-sdk android:minSdkVersion="{min_api}" android:targetSdkVersion="29" />
  <application android:debuggable="{debuggable}" android:hasCode="false">
    <activity android:name="{activity}" android:exported="true" />
    <provider android:name="org.phonebench.runner.JobProvider" android:authorities={authority}
        android:exported="true" android:permission="android.permission.DUMP"{door} />
  </application>
</manifest>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApkPlan:
    """The contents of the APK. ``key`` is any name; equal names mean the same signer.

    ``page_bytes``: what its libraries are aligned to. ``door``: the process of its provider, as the manifest names it;
    empty for the app's own. ``trusted_key``: the PEM text of the public key that the app was built with.
    """

    package: str = "org.phonebench.runner.onnxruntime"
    activity: str = ACTIVITY
    version_code: int = 1
    version_name: str = "0.1.0+0123456789ab"
    min_api: int = 26
    debuggable: bool = False
    abis: tuple[str, ...] = ("arm64-v8a", "x86_64")
    key: str = "own"
    library_bytes: int = 1000
    page_bytes: int = 16384
    door: str = ":door"
    trusted_key: str = ""


def missing_for_apks() -> str:
    """Return what is missing here for making APKs; empty if nothing is."""
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    return " ".join(lacking + ([] if FRAMEWORK.exists() else ["android-framework-res"]))


class ApkMaker:
    """Makes each APK once, in its own folder, which also holds the keys."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[ApkPlan, Path] = {}

    def make(self, plan: ApkPlan) -> Path:
        """Return the signed APK. Raises `subprocess.CalledProcessError` with what the tool said."""
        if plan not in self._made:
            self._made[plan] = self._build(plan, self._folder / f"{len(self._made)}")
        return self._made[plan]

    def _build(self, plan: ApkPlan, folder: Path) -> Path:
        folder.mkdir()
        manifest = folder / "AndroidManifest.xml"
        manifest.write_text(_manifest(plan))
        linked, aligned, signed = folder / "linked.apk", folder / "aligned.apk", folder / "app.apk"
        _run("aapt2", "link", "-I", FRAMEWORK, "--manifest", manifest, "-o", linked)
        library = elf64((LOAD, plan.page_bytes)).ljust(plan.library_bytes, b"\0")
        with zipfile.ZipFile(linked, "a") as apk:
            for abi in plan.abis:
                apk.writestr(f"lib/{abi}/libruntime.so", library)
            if plan.trusted_key:
                apk.writestr(KEY, plan.trusted_key)
        _run("zipalign", "-f", "4", linked, aligned)
        key = ("--ks", self._key(plan.key), "--ks-pass", PASSWORD)
        _run("apksigner", "sign", *key, "--out", signed, aligned)
        return signed

    def _key(self, name: str) -> Path:
        store = self._folder / f"{name}.p12"
        if not store.exists():
            kind = ("-keyalg", "RSA", "-keysize", "2048", "-validity", "10000", "-storetype", "PKCS12")
            who = ("-alias", name, "-dname", f"CN={name}", "-storepass", PASSWORD.partition(":")[2])
            _run("keytool", "-genkeypair", "-keystore", store, *kind, *who)
        return store


def _manifest(plan: ApkPlan) -> str:
    return MANIFEST.format(
        package=quoteattr(plan.package),
        version_code=plan.version_code,
        version_name=quoteattr(plan.version_name),
        min_api=plan.min_api,
        debuggable=str(plan.debuggable).lower(),
        activity=plan.activity,
        authority=quoteattr(f"{plan.package}.jobs"),
        door=f" android:process={quoteattr(plan.door)}" if plan.door else "",
    )


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
