"""A ``.pte`` for one Qualcomm chip, in static int8, by ExecuTorch's QNN backend and the user's SDK.

The result cannot run on this computer, so it is built and not checked. The backend downloads an SDK when it is imported
without one, so it is imported only in a program of its own, and only with the user's.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.npu.executorch_child import COMPILED_FILE, TASK_FILE
from harness.artifacts.npu.place import check_output, fill_output, run_child, write_facts
from harness.artifacts.npu.sdk import HOST_LIBRARIES, SDK_VARIABLE, why_no_sdk
from harness.artifacts.workers.tasks import PrepareTask, WorkerTask, encode_line
from harness.errors import BuildError, MissingPackageError, UsageError
from harness.model.card import ModelCard
from harness.model.source_key import source_key
from harness.system.child_process import child_environment
from harness.system.files import file_sha256
from harness.system.scratch import make_scratch, remove_scratch


@dataclass(frozen=True, slots=True, kw_only=True)
class PteNpuFile:
    """A compiled file: its folder, the chip that it is for, and how many operators stay on the phone's cores."""

    folder: Path
    chip: str
    left: int


def why_no_backend() -> str:
    """Return why ExecuTorch's backend cannot be imported here, in a sentence; empty if only the SDK may be missing."""
    spec = importlib.util.find_spec("executorch")
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        return "not installed: pip install 'phonebench[torch]'"
    if not (Path(places[0]) / "backends/qualcomm").is_dir():
        return "the installed executorch has no backend for it"
    if importlib.util.find_spec("cpuinfo") is None:
        return "it needs a package that ExecuTorch does not bring: pip install 'phonebench[qnn]'"
    return ""


def compile_for_executorch(card: ModelCard, output: Path, chip: str, *, sdk: str, cache_root: Path) -> PteNpuFile:
    """Compile a model for a chip such as ``SM8650`` into the folder ``output``, which must not hold anything yet.

    Raises `UsageError` for what cannot be, `MissingPackageError` without ExecuTorch, and `BuildError` for what the
    compiler refuses; then ``output`` does not exist.
    """
    check_output(output)
    if card.ready is not None:
        msg = f"{card.name!r} is a ready-made file: give the model that it was made from"
        raise UsageError(msg)
    reason = why_no_backend()
    if reason.startswith("not installed"):
        raise MissingPackageError(package="executorch", extra="torch", purpose="compiling .pte for Qualcomm")
    if reason := reason or why_no_sdk(sdk):
        raise UsageError(reason)
    scratch = make_scratch("npu")
    try:
        task = PrepareTask(card=card, key=source_key(card), cache_root=str(cache_root))
        (scratch / TASK_FILE).write_bytes(encode_line(WorkerTask(prepare=task)))
        environment = _environment(Path(sdk).expanduser())
        done = run_child("harness.artifacts.npu.executorch_child", scratch, {"chip": chip}, environment)
        if chips := done.get("chips"):
            msg = f"--chip {chip!r} is not one that ExecuTorch knows of Qualcomm: use one of {', '.join(chips)}"
            raise UsageError(msg)
        if refused := done.get("refused"):
            msg = f"Qualcomm's compiler refuses {card.name!r}: {'; '.join([*done['errors'][:1], str(refused)])}"
            raise BuildError(msg)
        file = PteNpuFile(folder=output, chip=chip, left=int(done["left"]))
        facts = {
            "maker": "qualcomm",
            "chip": chip,
            "source": {"model": card.name},
            "files": {COMPILED_FILE: file_sha256(scratch / COMPILED_FILE)},
            "operators_left": file.left,
            "versions": {"executorch": done["executorch"]},
        }
        with fill_output(output):
            shutil.copyfile(scratch / COMPILED_FILE, output / COMPILED_FILE)
            write_facts(output, facts)
    finally:
        remove_scratch(scratch)
    return file


def _environment(sdk: Path) -> dict[str, str]:
    """What the backend reads: the SDK, its libraries for this computer, and its module for Python."""
    environment = child_environment(os.cpu_count() or 1) | {SDK_VARIABLE: str(sdk)}
    for name, folder in (("LD_LIBRARY_PATH", HOST_LIBRARIES), ("PYTHONPATH", "lib/python")):
        parts = [environment.get(name, ""), str(sdk / folder)]
        environment[name] = os.pathsep.join(filter(None, parts))
    return environment
