"""A ``.tflite`` for the neural processor of one maker's chip, by the compiler plug-ins in ``ai-edge-litert``.

The plug-ins need the maker's SDK, which the user has: as the package that LiteRT names for it, or in a folder. The
result cannot run on this computer, so it is built and not checked. All that is known is how many operators it takes.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.artifacts.npu.place import check_output, fill_output, run_child, write_facts
from harness.errors import BuildError, MissingPackageError, UsageError
from harness.system.child_process import child_environment
from harness.system.files import file_sha256
from harness.system.scratch import make_scratch, remove_scratch

COMPILED_FILE = "model.tflite"


@dataclass(frozen=True, slots=True, kw_only=True)
class LitertMaker:
    """One maker of chips: its name, the folder of its plug-in in ai-edge-litert, and the package of its SDK."""

    title: str
    folder: str
    sdk_package: str


MAKERS: dict[str, LitertMaker] = {
    "qualcomm": LitertMaker(title="Qualcomm", folder="qualcomm", sdk_package="ai_edge_litert_sdk_qualcomm"),
    "mediatek": LitertMaker(title="MediaTek", folder="mediatek", sdk_package="ai_edge_litert_sdk_mediatek"),
    "google": LitertMaker(
        title="Google Tensor", folder="google_tensor", sdk_package="ai_edge_litert_sdk_google_tensor"
    ),
    "samsung": LitertMaker(title="Samsung", folder="samsung", sdk_package="ai_edge_litert_sdk_samsung"),
    "intel": LitertMaker(title="Intel", folder="intel_openvino", sdk_package="ai_edge_litert_sdk_intel"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LitertNpuFile:
    """A compiled file: its folder, the maker and the chip, and how many of its operators the processor gets."""

    folder: Path
    maker: str
    chip: str
    taken: int
    operators: int


def why_no_plugin(maker: LitertMaker) -> str:
    """Return why a maker's plug-in cannot be used, in a sentence; empty if only the SDK is needed."""
    spec = importlib.util.find_spec("ai_edge_litert")
    if spec is None or not spec.submodule_search_locations:
        return "not installed: pip install 'phonebench[tflite]'"
    compiler = Path(next(iter(spec.submodule_search_locations))) / "vendors" / maker.folder / "compiler"
    if not any(compiler.glob("libLiteRtCompilerPlugin*")):
        return f"the installed ai-edge-litert has no compiler plug-in for {maker.title}"
    return ""


def why_no_maker_sdk(maker: LitertMaker) -> str:
    """Return what to do about a maker's SDK that is not installed, in a sentence; empty if its package is."""
    if importlib.util.find_spec(maker.sdk_package) is not None:
        return ""
    package = maker.sdk_package.replace("_", "-")
    return (
        f"{maker.title}'s SDK is not installed: get it under its licence, as the package {package} or as a folder with "
        "its libraries for this computer (--sdk DIR)"
    )


def compile_for_litert(model: Path, output: Path, maker_name: str, chip: str, *, sdk: Path | None) -> LitertNpuFile:
    """Compile ``model`` for a chip such as ``MT6991`` into the folder ``output``, which must not hold anything yet.

    ``sdk``: the folder with the maker's libraries, if not installed as a package. Raises `UsageError` for what cannot
    be, `MissingPackageError` without LiteRT, and `BuildError` for what the compiler refuses; then ``output`` does not
    exist.
    """
    sdk = sdk and sdk.expanduser()
    maker = _checked(model, output, maker_name, sdk)
    scratch = make_scratch("npu")
    try:
        done = _run(scratch, {"model": str(model.resolve()), "vendor": maker.folder, "chip": chip}, sdk)
        taken, operators = _judged(done, maker, model)
        facts = {
            "maker": maker_name,
            "chip": chip,
            "source": {"file": model.name, "sha256": file_sha256(model)},
            "files": {COMPILED_FILE: file_sha256(scratch / COMPILED_FILE)},
            "operators_on_npu": taken,
            "operators": operators,
            "versions": {"ai-edge-litert": str(done["ai_edge_litert"])},
        }
        with fill_output(output):
            shutil.copyfile(scratch / COMPILED_FILE, output / COMPILED_FILE)
            write_facts(output, facts)
    finally:
        remove_scratch(scratch)
    return LitertNpuFile(folder=output, maker=maker_name, chip=chip, taken=taken, operators=operators)


def _checked(model: Path, output: Path, name: str, sdk: Path | None) -> LitertMaker:
    if not model.is_file():
        msg = f"{str(model)!r} is no .tflite file: build one with phonebench build --format tflite --variant int8"
        raise UsageError(msg)
    check_output(output)
    maker = MAKERS[name]
    reason = why_no_plugin(maker)
    if reason.startswith("not installed"):
        raise MissingPackageError(package="ai-edge-litert", extra="tflite", purpose="compiling .tflite for an NPU")
    if not reason and sdk is None:
        reason = why_no_maker_sdk(maker)
    if not reason and sdk is not None and not sdk.is_dir():
        reason = f"--sdk {str(sdk)!r} is no folder: name the one with {maker.title}'s libraries for this computer"
    if reason:
        raise UsageError(reason)
    return maker


def _run(scratch: Path, job: dict[str, str], sdk: Path | None) -> dict[str, Any]:
    # The plug-in leaves a log in the folder for temporary files when it fails.
    environment = child_environment(1) | {"TMPDIR": str(scratch)}
    if sdk is not None:
        parts = [str(sdk.resolve()), environment.get("LD_LIBRARY_PATH", "")]
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, parts))
    return run_child("harness.artifacts.npu.litert_child", scratch, job, environment)


def _judged(done: dict[str, Any], maker: LitertMaker, model: Path) -> tuple[int, int]:
    """Return how many operators the processor gets, and of how many. Raises `UsageError` and `BuildError`."""
    if chips := done.get("chips"):
        msg = f"--chip is not one that LiteRT knows of {maker.title}: use one of {', '.join(chips)}"
        raise UsageError(msg)
    if refused := done.get("refused"):
        msg = f"{maker.title}'s compiler plug-in does not compile {model.name!r}: {str(refused).rstrip('.')}"
        raise BuildError(msg)
    taken, operators = int(done["taken"]), int(done["operators"])
    if not taken:
        msg = f"{maker.title}'s compiler takes none of the {operators} operators of {model.name!r}: use an int8 file"
        raise BuildError(msg)
    return taken, operators
