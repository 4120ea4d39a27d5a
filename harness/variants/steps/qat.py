"""``qat``: trains the network with the rounding of int8 in its forward pass (Jacob et al. 2018, arXiv:1712.05877).

The graph that is trained is an exported copy with fake quantisers (torchao's PT2E, XNNPACK's rules). Its weights and
batch-norm statistics are then written back into the network by name. So the static quantiser of every format gets
weights that tolerate rounding, without knowing about the training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.errors import MissingPackageError, first_line
from harness.spec.recipe import Qat, training_of
from harness.variants.examples import Examples, outputs_of
from harness.variants.step import Outcome, StepContext, UnfitError
from harness.variants.training import load_lessons, train

if TYPE_CHECKING:
    import torch

# The number of calls to export together. torch.export treats a size of 1, and in places of 2, as fixed.
EXPORTED_CALLS = 3


def apply(network: torch.nn.Module, step: Qat, context: StepContext) -> Outcome:
    """Train a fake-quantised graph of ``network``, and copy its weights back.

    Raises `UnfitError` when the network cannot be exported with batches of any size, or has no layer that int8 rounds.
    Also raises as training does.
    """
    budget = training_of(step)
    assert budget is not None, "a qat step always has a budget"
    lessons = load_lessons(context, budget)
    graph = _fake_quantised(_exported(network, lessons.train))
    trained = train(graph, budget, lessons)
    _write_back(network, graph)
    count = _quantisers(graph)
    note = f"trained with {count} fake quantisers; the training scores are those of the fake-quantised network"
    return Outcome(network=network.eval(), training=trained.report, notes=(*trained.notes, note))


def _exported(network: torch.nn.Module, examples: Examples) -> torch.nn.Module:
    """The exported graph of ``network`` for batches of any size."""
    import torch

    rows = torch.arange(EXPORTED_CALLS) % examples.count
    shapes = tuple({0: torch.export.Dim.AUTO} for _ in examples.inputs)
    try:
        program = torch.export.export(network, examples.batch(rows), dynamic_shapes=shapes)
        graph: torch.nn.Module = program.module()
        with torch.no_grad():
            outputs_of(graph, examples, rows[:2])
    except (RuntimeError, TypeError, ValueError, AssertionError, NotImplementedError) as error:
        msg = f"qat: the network cannot be exported with batches of any size: {first_line(error)}"
        raise UnfitError(msg) from error
    return graph


def _fake_quantised(graph: torch.nn.Module) -> torch.nn.Module:
    quantizer, prepare, allow_modes = _tools()
    try:
        prepared: torch.nn.Module = prepare(graph, quantizer)
    except (RuntimeError, TypeError, ValueError, KeyError, AssertionError, NotImplementedError) as error:
        msg = f"qat: fake quantisers cannot be inserted into the network: {first_line(error)}"
        raise UnfitError(msg) from error
    if _quantisers(prepared) == 0:
        msg = "qat: the network has no layer that int8 rounds, such as a convolution or a linear layer"
        raise UnfitError(msg)
    # An exported graph refuses train() and eval(). This lets them switch its batch norms and dropouts, which is all
    # that training needs.
    allow_modes(prepared)
    return prepared


def _tools() -> tuple[Any, Any, Any]:
    """XNNPACK's quantiser, the function that inserts it into a graph, and the one that enables train() and eval()."""
    try:
        from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
            XNNPACKQuantizer,
            get_symmetric_quantization_config,
        )
        from torchao.quantization.pt2e import allow_exported_model_train_eval
        from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e
    except ImportError as error:
        raise MissingPackageError(package="executorch", extra="torch", purpose="a qat step") from error
    config = get_symmetric_quantization_config(is_per_channel=True, is_qat=True)
    return XNNPACKQuantizer().set_global(config), prepare_qat_pt2e, allow_exported_model_train_eval


def _quantisers(graph: torch.nn.Module) -> int:
    from torchao.quantization.pt2e.fake_quantize import FakeQuantizeBase

    return sum(isinstance(module, FakeQuantizeBase) for module in graph.modules())


def _write_back(network: torch.nn.Module, graph: torch.nn.Module) -> None:
    """Copy parameters and buffers of ``graph`` by name into ``network``. Raises `UnfitError` if a parameter is lost."""
    import torch

    trained = graph.state_dict()
    # A shared parameter has several names, and the exported graph need not keep them all.
    names: dict[int, list[str]] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    lost = [same[0] for same in names.values() if not any(name in trained for name in same)]
    if lost:
        msg = f"qat: the exported graph has no weights named {', '.join(lost[:3])}, so they cannot be written back"
        raise UnfitError(msg)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name in trained:
                tensor.copy_(trained[name])
