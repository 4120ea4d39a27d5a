"""Small signed APKs without code: the right names, versions and signers, for phones that install by rules alone."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness import __version__

FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
VERSION = f"{__version__}+0123456789ab"
MANIFEST = """<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="{app_id}"
    android:versionCode="{code}" android:versionName="{version}">
  <uses-sdk android:minSdkVersion="{min_api}" android:targetSdkVersion="29"/>
  <application android:hasCode="false" android:debuggable="{debuggable}">
    <activity android:name="org.phonebench.runner.RunnerActivity" android:exported="true"/>
    <provider android:name="org.phonebench.runner.JobProvider" android:authorities="{app_id}.jobs"
        android:exported="true"/>
  </application>
</manifest>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyApk:
    """An APK as the driver is given it."""

    path: Path
    app_id: str
    version: str


def make_key(folder: Path, name: str) -> Path:
    """Make a key store with one key; its password is ``android``."""
    store = folder / f"{name}.keystore"
    secret = ("-storepass", "android", "-keypass", "android")
    _run(
        "keytool", "-genkeypair", "-keystore", store, *secret, "-alias", "key", "-keyalg", "RSA", "-dname", f"CN={name}"
    )
    return store


def make_apk(
    folder: Path, key: Path, *, runtime: str = "onnxruntime", version: str = VERSION, code: int = 1, **changes: str
) -> TinyApk:
    """Build and sign an APK; ``changes`` are values of the manifest, ``abi`` puts a library for it in."""
    folder.mkdir(parents=True, exist_ok=True)
    app_id = f"org.phonebench.runner.{runtime}"
    abi = changes.pop("abi", None)
    values = {"app_id": app_id, "version": version, "code": str(code), "min_api": "26", "debuggable": "false"}
    manifest, linked, path = folder / "AndroidManifest.xml", folder / "linked.apk", folder / f"{runtime}.apk"
    manifest.write_text(MANIFEST.format(**values | changes))
    _run("aapt2", "link", "--manifest", manifest, "-I", FRAMEWORK, "-o", linked)
    if abi is not None:
        (folder / "lib" / abi).mkdir(parents=True)
        (folder / "lib" / abi / "libnothing.so").write_bytes(b"\x7fELF")
        subprocess.run(["zip", "-q", "-r", linked.name, "lib"], cwd=folder, check=True)
    _run("zipalign", "-f", "4", linked, path)
    _run("apksigner", "sign", "--ks", key, "--ks-pass", "pass:android", path)
    return TinyApk(path=path, app_id=app_id, version=version)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)
