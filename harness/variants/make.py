"""Makes a variant: applies the graph steps of a recipe in order and reports what each did.

Steps are seeded: the same steps on the same network give the same weights, bit for bit, on one machine. So the recipe
is all that has to be stored to reproduce a variant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import BuildError
from harness.records.steps import StepReport
from harness.spec.recipe import (
    Cluster,
    CorrectBias,
    Distill,
    Equalise,
    Fuse,
    LowRank,
    Prune,
    Qat,
    Sparsify,
    Step,
    step_name,
)
from harness.variants.count import check_layers, check_macs
from harness.variants.determinism import reproducible
from harness.variants.step import Apply, Outcome, StepContext
from harness.variants.steps import cluster, correct_bias, distill, equalise, fuse, lowrank, prune, qat, sparse

if TYPE_CHECKING:
    import torch

# The code of each step. Its record, its word and its packages are in `harness.spec.recipe`.
STEPS: dict[type[Step], Apply[Any]] = {
    Fuse: fuse.apply,
    Equalise: equalise.apply,
    CorrectBias: correct_bias.apply,
    LowRank: lowrank.apply,
    Cluster: cluster.apply,
    Prune: prune.apply,
    Sparsify: sparse.apply,
    Distill: distill.apply,
    Qat: qat.apply,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A network in eval mode with its steps applied, and one report per step."""

    network: torch.nn.Module
    reports: tuple[StepReport, ...]


def make_variant(steps: Sequence[Step], context: StepContext) -> Variant:
    """Apply ``steps`` to a copy of the float network.

    Raises `UnfitError` when the network cannot take a step, `BuildError` when a step fails or leaves values that are
    not finite.
    """
    network = context.copy_of_original()
    reports: list[StepReport] = []
    with reproducible():
        for step in steps:
            network, report = _apply(network, step, context)
            reports.append(report)
    return Variant(network=network, reports=tuple(reports))


def _apply(network: torch.nn.Module, step: Step, context: StepContext) -> tuple[torch.nn.Module, StepReport]:
    before = _sizes(network, context)
    outcome: Outcome = STEPS[type(step)](network, step, context)
    outcome.network.eval()
    _check_finite(outcome.network, step)
    after = _sizes(outcome.network, context)
    check_layers(outcome.network, step_name(step))
    check_macs(outcome.network, context.example(), after[1], step_name(step))
    report = StepReport(
        step=step_name(step),
        parameters_before=before[0],
        parameters_after=after[0],
        macs_before=before[1],
        macs_after=after[1],
        figures=outcome.figures,
        layers=outcome.layers,
        training=outcome.training,
        notes=outcome.notes,
    )
    return outcome.network, report


def _sizes(network: torch.nn.Module, context: StepContext) -> tuple[int, int | None]:
    return sum(p.numel() for p in network.parameters()), count_macs(network, context.example())


def count_macs(network: torch.nn.Module, example: tuple[torch.Tensor, ...]) -> int | None:
    """Return the multiply-accumulates of one call, counted by torch (convolutions and matrix products).

    None when torch cannot count them, as in a network that runs TorchScript.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), _plain_kernels(), counter:
            network(*example)
    except (RuntimeError, NotImplementedError, AssertionError):
        return None
    return int(counter.get_total_flops()) // 2


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Let attention and recurrent layers run as matrix products: torch's counter sees nothing inside fused kernels."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    fast, onednn = torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    # Not the context manager of torch.backends.mkldnn, which warns about settings of Intel's GPUs.
    torch._C._set_mkldnn_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch._C._set_mkldnn_enabled(onednn)
        torch.backends.mha.set_fastpath_enabled(fast)


def _check_finite(network: torch.nn.Module, step: Step) -> None:
    import torch

    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            msg = f"step {step_name(step)!r} left NaN or infinity in {name!r}; lower its learning_rate"
            raise BuildError(msg)
