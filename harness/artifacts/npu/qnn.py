"""Qualcomm's context binary of an ``.onnx`` file: compiled here, checked in the simulator, packed for a phone.

The simulator computes what the processor would, at no particular speed, so only its outputs are looked at. It is the
one in the PyPI package ``onnxruntime-qnn``, which needs no SDK.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.artifacts.npu.place import check_output, fill_output, last_line, run_child, write_facts
from harness.artifacts.npu.qnn_child import CONTEXT_FILE
from harness.artifacts.npu.sdk import CHIPS, phone_libraries
from harness.errors import BuildError, MissingPackageError, UsageError
from harness.system.child_process import child_environment
from harness.system.files import file_sha256
from harness.system.scratch import make_scratch, remove_scratch

LIBRARIES_FOLDER = "jniLibs/arm64-v8a"
# Both compute the same quantised network, so they differ by roundings. Below this the compiler is wrong.
LEAST_DB = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NpuFile:
    """A compiled file: its folder, the chip that it is for, and how close the simulator is to the processor here."""

    folder: Path
    chip: str
    sqnr_db: float
    versions: dict[str, str]
    libraries: tuple[str, ...] = ()


def why_no_qnn() -> str:
    """Return why this computer cannot compile for Qualcomm's processor, in a sentence; empty if it can."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return f"the compiler runs on Linux on x86-64, and this is {platform.system()} on {platform.machine()}"
    if importlib.util.find_spec("onnxruntime_qnn") is None:
        return "not installed: pip install 'phonebench[qnn]'"
    return ""


def compile_for_qnn(
    model: Path, output: Path, chip: str, *, soc: int | None = None, libraries: Path | None = None
) -> NpuFile:
    """Compile ``model`` for a chip such as ``v75`` into the folder ``output``, which must not hold anything yet.

    ``soc`` is Qualcomm's number of the whole chip, which lets the compiler use more of its memory. Raises `UsageError`
    for what cannot be, `MissingPackageError` without the package, and `BuildError` for a file that the compiler refuses
    or computes wrongly; then ``output`` does not exist.
    """
    _check(model, output, chip)
    packed = phone_libraries(libraries, chip) if libraries is not None else []
    scratch = make_scratch("npu")
    try:
        options = {"htp_arch": chip.removeprefix("v"), **({"soc_model": str(soc)} if soc else {})}
        job = {"model": str(model.resolve()), "options": options}
        done = run_child("harness.artifacts.npu.qnn_child", scratch, job, child_environment(1))
        worst_db = _judged(done, model)
        versions = {name: str(done[name]) for name in ("onnxruntime", "onnxruntime_qnn")}
        with fill_output(output):
            for path in sorted(scratch.glob(f"{Path(CONTEXT_FILE).stem}*")):
                shutil.copyfile(path, output / path.name)
            names = _pack(packed, output)
            file = NpuFile(folder=output, chip=chip, sqnr_db=worst_db, versions=versions, libraries=names)
            _write_facts(file, model)
    finally:
        remove_scratch(scratch)
    return file


def _check(model: Path, output: Path, chip: str) -> None:
    if chip not in CHIPS:
        msg = f"--chip {chip!r} is not known to the compiler, which ignores such a name: use one of {', '.join(CHIPS)}"
        raise UsageError(msg)
    if model.suffix != ".onnx" or not model.is_file():
        msg = f"{str(model)!r} is no .onnx file: build one with phonebench build --format onnx --variant int8"
        raise UsageError(msg)
    check_output(output)
    reason = why_no_qnn()
    if reason.startswith("not installed"):
        raise MissingPackageError(package="onnxruntime-qnn", extra="qnn", purpose="compiling for Qualcomm's processor")
    if reason:
        raise UsageError(reason)


def _judged(done: dict[str, Any], model: Path) -> float:
    """Return the worst ratio of signal to error, in dB. Raises `BuildError`."""
    if unfit := done.get("unfit"):
        msg = f"{model.name!r} could not be checked in the simulator, so it is not compiled: {unfit}"
        raise BuildError(msg)
    refused = done.get("refused")
    if refused is not None:
        hint = "static int8 is what the processor is for: phonebench build --format onnx --variant int8"
        msg = f"the compiler refuses {model.name!r}: {last_line(str(refused))}; {hint}"
        raise BuildError(msg)
    ratios = done["sqnr_db"]
    worst = min(ratios) if isinstance(ratios, list) else -200.0
    if worst < LEAST_DB:
        msg = (
            f"the compiled {model.name!r} computes something else than the file: {worst:.1f} dB between the simulator "
            f"and this computer, at least {LEAST_DB:g} are due"
        )
        raise BuildError(msg)
    return float(worst)


def _pack(libraries: Sequence[Path], output: Path) -> tuple[str, ...]:
    folder = output / LIBRARIES_FOLDER
    for path in libraries:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / path.name)
    return tuple(path.name for path in libraries)


def _write_facts(file: NpuFile, model: Path) -> None:
    facts = {
        "chip": file.chip,
        "source": {"file": model.name, "sha256": file_sha256(model)},
        "files": {p.name: file_sha256(p) for p in sorted(file.folder.glob("model*"))},
        "simulator_sqnr_db": file.sqnr_db,
        "versions": file.versions,
        "libraries": list(file.libraries),
    }
    write_facts(file.folder, facts)
