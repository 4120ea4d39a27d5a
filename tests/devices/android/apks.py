"""Small runner apps for the driver, made by the virtual phone's APK maker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from harness import __version__
from harness.devices.android.app_ids import ApkSource
from harness.runners.android.records import Abi, ApkFacts, Runtime
from harness.runners.android.store import keep
from harness.system.files import file_sha256
from tests.vphone.apkmaker import ApkMaker, ApkPlan

VERSION = f"{__version__}+0123456789ab"
OLD = "0.0.1+0123456789ab"


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyApk:
    """An APK in the form that the driver expects."""

    path: Path
    app_id: str
    version_name: str


def tiny(apks: ApkMaker, plan: ApkPlan | None = None) -> TinyApk:
    """Return the APK of ``plan``, by default the app of ONNX Runtime of this version."""
    wanted = plan or replace(ApkPlan(), version_name=VERSION)
    return TinyApk(path=apks.make(wanted), app_id=wanted.package, version_name=wanted.version_name)


def apk_source(*built: TinyApk) -> ApkSource:
    """The built APKs by runtime; they have no native code, so they fit every phone."""
    by_runtime = {apk.app_id.rpartition(".")[2]: apk for apk in built}
    return lambda runtime, _: by_runtime.get(runtime)


def keep_facts(path: Path, *, app_id: str, version_name: str) -> None:
    """Write the record that ``runner build`` writes beside the app of ONNX Runtime."""
    facts = ApkFacts(
        runtime=Runtime.ONNXRUNTIME,
        app_id=app_id,
        version_name=version_name,
        signer_sha256="",
        abis=(Abi.X86_64,),
        debuggable=False,
        library="",
        library_sha256="",
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        natives=(),
    )
    keep(path, facts)
