"""The calls of a split as batches of tensors, with the outputs that a network should give for them.

A batch is several calls joined along the first dimension, and its outputs are cut into calls again. So calls of any
shape can be trained on, and a score means the same here as in the reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import first_line
from harness.model.data import Dataset
from harness.variants.step import UnfitError

if TYPE_CHECKING:
    import torch

    Tensors = tuple[torch.Tensor, ...]

# How far the outputs of a batch may be from those of single calls, relative to the largest output.
BATCH_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examples:
    """Calls and their targets.

    ``inputs``: one tensor per input, shape ``(count, *TensorSpec.shape)``. ``labels``: class indices, int64, shape
    ``(count,)``, or None. ``targets``: the float outputs of the original network, one row per call, shape
    ``(count, elements of one call)``.
    """

    inputs: Tensors
    labels: torch.Tensor | None
    targets: Tensors

    @property
    def count(self) -> int:
        """The number of calls."""
        return len(self.inputs[0])

    def batch(self, rows: torch.Tensor) -> Tensors:
        """Return the inputs of the calls ``rows``, joined along the first dimension."""
        # Each call has its own batch dimension, usually 1, which is merged with that of the rows.
        return tuple(x[rows].flatten(0, 1) if x.dim() > 1 else x[rows] for x in self.inputs)


def load_examples(dataset: Dataset, original: torch.nn.Module, *, batch: int) -> Examples:
    """Return the calls of ``dataset`` with the outputs of ``original`` as targets. Raises as `check_batches` does."""
    import torch

    inputs = tuple(torch.from_numpy(array.copy()) for array in dataset.inputs)
    # Where a call has several answers, the original network's outputs are the better teacher: they fit by themselves.
    labels = None if dataset.single_labels is None else torch.from_numpy(dataset.single_labels.copy())
    without_targets = Examples(inputs=inputs, labels=labels, targets=())
    check_batches(original, without_targets)
    columns: list[Tensors] = []
    with torch.no_grad():
        for rows in torch.arange(without_targets.count).split(batch):
            columns.append(outputs_of(original, without_targets, rows))
    targets = tuple(torch.cat(parts) for parts in zip(*columns, strict=True))
    return Examples(inputs=inputs, labels=labels, targets=targets)


def outputs_of(network: torch.nn.Module, examples: Examples, rows: torch.Tensor) -> Tensors:
    """Return the float outputs of ``network`` for the calls ``rows``, each of shape ``(calls, elements of a call)``.

    Raises `ValueError` when an output cannot be cut into calls, and whatever the network itself raises.
    """
    outputs = list(_float_tensors(network(*examples.batch(rows))))
    for output in outputs:
        if output.dim() == 0 or len(output) % len(rows) or not len(output):
            msg = f"{len(rows)} calls gave an output of shape {list(output.shape)}"
            raise ValueError(msg)
    return tuple(output.reshape(len(rows), -1) for output in outputs)


def check_batches(network: torch.nn.Module, examples: Examples) -> None:
    """Raise `UnfitError` unless two calls in one batch give the same outputs as one by one."""
    import torch

    # Two different calls: a network that mixes the calls of a batch gives other outputs for them together.
    pair = torch.tensor([0, min(1, examples.count - 1)])
    try:
        with torch.no_grad():
            together = outputs_of(network, examples, pair)
            apart = [outputs_of(network, examples, row) for row in pair.split(1)]
    except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as error:
        reason = first_line(error)
        msg = f"training needs a network that takes batches along the first dimension; this one does not: {reason}"
        raise UnfitError(msg) from error
    if not together:
        msg = "training needs a float output to compare with its target; this network has none"
        raise UnfitError(msg)
    for both, parts in zip(together, zip(*apart, strict=True), strict=True):
        off = float((both - torch.cat(parts)).abs().max())
        if off > BATCH_TOLERANCE * max(float(both.abs().max()), 1e-6):
            msg = (
                f"training needs a network that keeps the calls of a batch apart; in this one, two calls in a batch "
                f"differ by {off:.2g} from the same calls one by one"
            )
            raise UnfitError(msg)


def _float_tensors(result: object) -> Iterator[torch.Tensor]:
    import torch

    if isinstance(result, torch.Tensor):
        if result.is_floating_point():
            yield result
        return
    items = result.values() if isinstance(result, dict) else result if isinstance(result, tuple | list) else ()
    for item in items:
        yield from _float_tensors(item)
