"""Compiles an ``.onnx`` file for Qualcomm's processor and runs the result in its simulator, as a program of its own.

``python -m harness.artifacts.npu.qnn_child JOB``, where the folder JOB holds ``job.json``; it leaves ``done.json``. The
provider is a plug-in that changes the process it is loaded into, and prints at will.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.artifacts.npu.place import do_job

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

CONTEXT_FILE = "model.onnx"
INPUTS, SEED = 8, 1


def main(folder: Path) -> None:
    """Compile and run the model of the job in ``folder``."""
    do_job(folder, lambda job: _compile_and_run(Path(job["model"]), folder / CONTEXT_FILE, job["options"]))


def _compile_and_run(model: Path, context: Path, options: dict[str, str]) -> dict[str, Any]:
    import numpy as np
    import onnxruntime as ort
    import onnxruntime_qnn as qnn

    ort.set_default_logger_severity(3)
    cpu = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    # Before the minutes that compiling may take.
    if unfit := _unfit(cpu.get_inputs()):
        return {"unfit": unfit}
    name = qnn.get_ep_name()
    ort.register_execution_provider_library(name, qnn.get_library_path())
    device = next(device for device in ort.get_ep_devices() if device.ep_name == name)
    backend = {"backend_path": qnn.get_qnn_htp_path()}
    writing = {"ep.context_enable": "1", "ep.context_embed_mode": "0", "ep.context_file_path": str(context)}
    _session(ort, model, device, backend | options, writing)
    # The file that a phone gets, not the session that made it.
    npu = _session(ort, context, device, backend, {})
    chance = np.random.default_rng(SEED)
    pairs = [_both(npu, cpu, chance) for _ in range(INPUTS)]
    return {
        "sqnr_db": [_sqnr_db(ours, theirs) for ours, theirs in pairs],
        "onnxruntime": ort.__version__,
        "onnxruntime_qnn": qnn.__version__,
    }


def _session(ort: Any, model: Path, device: Any, options: dict[str, str], entries: dict[str, str]) -> Any:  # noqa: ANN401
    settings = ort.SessionOptions()
    # Otherwise a node that the processor does not take would run on the phone's cores, unnoticed.
    settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    for key, value in entries.items():
        settings.add_session_config_entry(key, value)
    settings.add_provider_for_devices([device], options)
    return ort.InferenceSession(str(model), settings)


def _both(npu: Any, cpu: Any, chance: Any) -> tuple[list[Floats], list[Floats]]:  # noqa: ANN401
    import numpy as np

    feed = {one.name: chance.random(one.shape).astype(np.float32) for one in cpu.get_inputs()}
    return npu.run(None, feed), cpu.run(None, feed)


def _unfit(inputs: Any) -> str:  # noqa: ANN401
    """Return which input cannot be filled with random numbers; empty if all can."""
    for one in inputs:
        if one.type != "tensor(float)" or not all(isinstance(size, int) for size in one.shape):
            return f"input {one.name!r} is {one.type} {one.shape}, and it must be float32 of a fixed shape"
    return ""


def _sqnr_db(ours: list[Floats], theirs: list[Floats]) -> float:
    """The worst output's ratio of signal to error in dB, at most 200; -200 for outputs that are not finite."""
    import numpy as np

    worst = 200.0
    for actual, expected in zip(ours, theirs, strict=True):
        if not np.isfinite(actual).all():
            return -200.0
        signal, error = float(np.square(expected).sum()), float(np.square(actual - expected).sum())
        worst = min(worst, 200.0 if error == 0 else 10 * float(np.log10(max(signal, 1e-30) / error)))
    return max(-200.0, worst)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
