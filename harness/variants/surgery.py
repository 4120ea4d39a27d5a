"""Dynamic network surgery: during training, cut weights that have become large come back, and others are cut instead.

Guo, Yao and Chen 2016 (arXiv:1608.04493). Cut weights continue to learn behind their masks: the forward pass uses the
masked weight, while the gradient reaches the whole weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.spec.recipe import Sparsify

if TYPE_CHECKING:
    import torch

# A cut weight comes back when it exceeds the limit by this factor. Without it, masks would flicker.
SPLICE = 1.1
# Masks change during this share of the budget. After that they are fixed, and the weights settle.
UNSETTLED = 0.5


class Surgery:
    """Masks over the weights of layers, updated while the weights are trained."""

    def __init__(self, layers: Sequence[tuple[torch.nn.Module, torch.Tensor]], step: Sparsify) -> None:
        from torch.nn.utils import parametrize

        self._layers = [layer for layer, _ in layers]
        self._step = step
        self._masks = [_mask_module(mask) for _, mask in layers]
        self._cut = sum(int((~mask).sum()) for _, mask in layers)
        for layer, mask in zip(self._layers, self._masks, strict=True):
            parametrize.register_parametrization(layer, "weight", mask)

    def after_update(self, spent: float) -> None:
        """Recompute the masks from the weights behind them, with as many cut as before, until masks are fixed."""
        import torch

        if spent >= UNSETTLED:
            return
        with torch.no_grad():
            sizes = [self._size(layer, mask) for layer, mask in zip(self._layers, self._masks, strict=True)]
            limit = self._limit(torch.cat([size.flatten() for size in sizes]))
            for size, mask in zip(sizes, self._masks, strict=True):
                stays = size > limit
                # A layer without any weight could not recover, so it keeps its mask.
                if bool(stays.any()):
                    mask.stays.copy_(stays)
                    mask.was_cut.logical_or_(~stays)

    def finish(self) -> int:
        """Remove the masks, leaving the cut weights zero, and return how many weights came back."""
        from torch.nn.utils import parametrize

        revived = sum(int((mask.was_cut & mask.stays).sum()) for mask in self._masks)
        for layer in self._layers:
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        return revived

    def _size(self, layer: torch.nn.Module, mask: Any) -> torch.Tensor:
        import torch

        whole = layer.get_parameter("parametrizations.weight.original").abs()
        return torch.where(mask.stays, whole, whole / SPLICE)

    def _limit(self, sizes: torch.Tensor) -> float:
        """The size up to which weights are cut."""
        if self._step.threshold is not None or self._cut == 0:
            return self._step.threshold or 0.0
        # With a ratio, as many weights are cut now as at the start.
        return float(sizes.kthvalue(self._cut).values)


def _mask_module(mask: torch.Tensor) -> Any:
    import torch

    class Through(torch.autograd.Function):
        """Forward: the masked weight. Backward: the gradient unchanged (straight-through)."""

        @staticmethod
        def forward(ctx: Any, weight: torch.Tensor, stays: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
            return weight * stays

        @staticmethod
        def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:  # noqa: ARG004
            return grads[0], None

    class Mask(torch.nn.Module):
        """Which weights stay, and which were ever cut. As buffers, both are saved and restored with the weights."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("stays", mask.clone())
            self.register_buffer("was_cut", ~mask)

        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            """Return the weight with zeros where it is cut."""
            masked: torch.Tensor = Through.apply(weight, self.stays)  # type: ignore[no-untyped-call]
            return masked

    return Mask()
