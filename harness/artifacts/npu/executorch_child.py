"""Compiles a model for one Qualcomm chip with ExecuTorch, as a program of its own.

``python -m harness.artifacts.npu.executorch_child JOB``, where the folder JOB holds ``job.json`` and the model to load;
it leaves ``done.json``. ``QNN_SDK_ROOT`` must be set: the backend downloads an SDK when it is imported without one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.artifacts.npu.place import do_job, last_line

if TYPE_CHECKING:
    import torch

    from harness.artifacts.export.exporter import FloatModel
    from harness.spec.recipe import Observer

TASK_FILE, COMPILED_FILE = "task.json", "model.pte"


def main(folder: Path) -> None:
    """Compile the model of the job in ``folder``."""
    do_job(folder, lambda job: _compiled(job, folder), reason=lambda error: last_line(str(error)))


def _compiled(job: dict[str, str], folder: Path) -> dict[str, Any]:
    from importlib.metadata import version

    chips = known_chips()
    if job["chip"] not in chips:
        return {"chips": chips}
    source = _source(folder / TASK_FILE)
    program = lowered(quantised(source, job["chip"]), source.example(), job["chip"])
    calls = [node for node in program.exported_program().graph.nodes if node.op == "call_function"]
    left = [node for node in calls if not _is_plumbing(node)]
    (folder / COMPILED_FILE).write_bytes(program.to_executorch().buffer)
    return {"left": len(left), "executorch": version("executorch")}


def _is_plumbing(node: Any) -> bool:  # noqa: ANN401
    return any(word in str(node.target) for word in ("getitem", "executorch_call_delegate"))


def _source(task_file: Path) -> FloatModel:
    from harness.artifacts.cache import Cache
    from harness.artifacts.export.registry import float_model
    from harness.artifacts.sources.prepare_model import prepare
    from harness.artifacts.verify.verify import Expected
    from harness.artifacts.workers.tasks import decode_task

    task = decode_task(task_file.read_bytes()).prepare
    assert task is not None
    cache = Cache(Path(task.cache_root))
    return float_model(Expected(model=prepare(task.card, task.key, cache), card=task.card), cache)


def known_chips() -> list[str]:
    """Return the names of the chips that the installed backend compiles for."""
    from executorch.backends.qualcomm.serialization.qc_schema import QcomChipset

    return sorted(chip.name for chip in QcomChipset if chip.value)


def quantised(source: FloatModel, chip: str) -> torch.nn.Module:
    """Return the network in static int8 as Qualcomm's quantiser annotates it, calibrated on the model's data."""
    import torch
    from executorch.backends.qualcomm.quantizer.quantizer import QnnQuantizer, QuantDtype
    from executorch.backends.qualcomm.serialization.qc_schema import QcomChipset
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    from harness.artifacts.export.observers import keep_ends_whole
    from harness.spec.recipe import Quantisation

    quantisation = Quantisation()
    quantiser = QnnQuantizer(soc_model=QcomChipset[chip])
    # Its own observer averages ranges so slowly that they are those of the first input: 14 dB where these give 36.
    quantiser.set_default_quant_config(
        QuantDtype.use_8a8w,
        is_conv_per_channel=True,
        is_linear_per_channel=True,
        act_observer=_observer(quantisation.observer),
    )
    graph = torch.export.export(source.exportable(), source.example(), strict=True).module()
    prepared = prepare_pt2e(graph, quantiser)
    keep_ends_whole(prepared, quantisation.observer)
    with torch.no_grad():
        for item in source.calibration_items(quantisation):
            prepared(*item)
    converted: torch.nn.Module = convert_pt2e(prepared)
    return converted


def _observer(ranges: Observer) -> Any:  # noqa: ANN401
    """The class of observers that phonebench's other exporters use; the quantiser takes no constructor in its place."""
    from torchao.quantization.pt2e import observer as library

    from harness.artifacts.export.observers import observer_class

    class RangeObserver(observer_class(library)):  # type: ignore[misc]  # made from a class of the library
        def __init__(self, **settings: Any) -> None:  # noqa: ANN401
            super().__init__(observer=ranges, **settings)

    return RangeObserver


def compiler_spec(chip: str) -> list[Any]:
    """Return what the backend is asked for: the Hexagon processor of that chip, a graph that is prepared here."""
    from executorch.backends.qualcomm.serialization.qc_schema import QcomChipset
    from executorch.backends.qualcomm.utils import utils

    options = utils.generate_htp_compiler_spec(use_fp16=False)
    spec: list[Any] = utils.generate_qnn_executorch_compiler_spec(soc_model=QcomChipset[chip], backend_options=options)
    return spec


def lowered(network: torch.nn.Module, example: tuple[torch.Tensor, ...], chip: str) -> Any:  # noqa: ANN401
    """Return the program whose parts the SDK's compiler has taken."""
    from executorch.backends.qualcomm.utils import utils

    return utils.to_edge_transform_and_lower_to_qnn(network, example, compiler_spec(chip))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
