"""Compiles a ``.tflite`` with a maker's plug-in, as a program of its own: plug-ins print at will and may crash.

``python -m harness.artifacts.npu.litert_child JOB``, where the folder JOB holds ``job.json``; it leaves ``done.json``.
"""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from harness.artifacts.npu.place import do_job

# What a plug-in's log says of a failure: the innermost sentence, behind the place in its source.
_WORDS = re.compile(r"^(?:└|ERROR: \[[^\]]*\])(?!\s*ERROR: \[)\s*(\S.*)$", re.MULTILINE)
_FOLDERS = re.compile(r"/\S*/(?=[^/\s]+\.so)")
_NO_REASON = "it gives no reason, as where the SDK lacks libraries for this computer or has another version"
_LOG = re.compile(r"See (\S+\.error)")


def main(folder: Path) -> None:
    """Compile the model of the job in ``folder``."""
    do_job(folder, lambda job: _compiled(job, folder), reason=lambda error: reason_of(str(error)))


def _compiled(job: dict[str, str], folder: Path) -> dict[str, Any]:
    from importlib.metadata import version

    from ai_edge_litert.aot import aot_compile

    target = importlib.import_module(f"ai_edge_litert.aot.vendors.{job['vendor']}.target")
    chips = [chip.value for chip in target.SocModel if chip.value != "ALL"]
    if job["chip"] not in chips:
        return {"chips": chips}
    chosen = target.Target(target.SocModel(job["chip"]))
    result = aot_compile.aot_compile(job["model"], str(folder / "out"), target=chosen, keep_going=True)
    if result.failed_backends or not result.models:
        said = [str(error) for _, error in result.failed_backends]
        return {"refused": reason_of(said[0] if said else "it made no file")}
    model = result.models[0]
    parts = model.partition_stats.subgraph_stats if model.partition_stats else []
    result.export(folder / "exported", "model")
    shutil.copyfile(next((folder / "exported").glob("*.tflite")), folder / "model.tflite")
    return {
        "taken": sum(part.num_ops_offloaded for part in parts),
        "operators": sum(part.num_total_ops for part in parts),
        "ai_edge_litert": version("ai-edge-litert"),
    }


def reason_of(text: str) -> str:
    """Return why a plug-in failed: a sentence of the log that the message names, else the message."""
    log = _LOG.search(text)
    file = Path(log.group(1)) if log else None
    if file is None or not file.is_file():
        return text.strip()[:300]
    said = _WORDS.findall(file.read_text(encoding="utf-8", errors="replace"))
    return _FOLDERS.sub("", said[-1]).strip()[:300] if said else _NO_REASON


if __name__ == "__main__":
    main(Path(sys.argv[1]))
