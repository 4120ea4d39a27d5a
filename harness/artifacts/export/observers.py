"""Observers for PyTorch's two quantisation libraries that get their ranges from `harness.variants.ranges`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from harness.spec.recipe import Observer
from harness.variants.ranges import ObservedRange, whole_ends

if TYPE_CHECKING:
    import torch


@functools.cache
def observer_class(library: Any) -> Any:
    """Return the class of observers that is made from ``library``."""

    class RangeObserver(library.UniformQuantizationObserverBase):  # type: ignore[misc]
        """Passes activations to an `ObservedRange`."""

        def __init__(self, *, observer: Observer, **settings: Any) -> None:
            super().__init__(**settings)
            self.observed = ObservedRange(observer)

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            """Observe ``values`` and return them."""
            self.observed.see(values.detach().float().numpy())
            return values

        def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
            """Return the scale and the zero point; those of an empty observer if nothing was seen."""
            import torch

            low, high = self.observed.range(self.quant_max - self.quant_min + 1) or (float("inf"), float("-inf"))
            parameters: tuple[torch.Tensor, torch.Tensor] = self._calculate_qparams(
                torch.tensor(low, dtype=torch.float32), torch.tensor(high, dtype=torch.float32)
            )
            return parameters

    return RangeObserver


def torch_observer(library: Any, observer: Observer, **settings: Any) -> Any:
    """Return a constructor of ``observer`` for ``library``: torchao's PT2E observers or those of `torch.ao`."""
    return observer_class(library).with_args(observer=observer, **settings)


def keep_ends_whole(prepared: Any, observer: Observer) -> None:
    """Let the ends of a prepared graph that `whole_ends` names keep the range of all values."""
    modules = dict(prepared.named_modules(remove_duplicate=False))
    (output,) = (node for node in prepared.graph.nodes if node.op == "output")
    inputs = [user for node in prepared.graph.nodes if node.op == "placeholder" for user in node.users]
    for node in whole_ends(observer, inputs, output.all_input_nodes):
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(getattr(module, "observed", None), ObservedRange):
            module.observed.keep_whole()  # type: ignore[union-attr]
