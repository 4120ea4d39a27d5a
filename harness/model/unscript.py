"""Replaces TorchScript inside a network by graphs that compute the same, because no exporter but that of .ptl reads it.

Each part is captured from the tensors that it gets in one run of the network. Code that branches on values cannot be
captured without losing a branch. Such a part stays TorchScript, and the formats that cannot take it say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.model.preserve import preserved

if TYPE_CHECKING:
    import torch

    Tensors = tuple[torch.Tensor, ...]


def scripts_in(network: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Return the outermost TorchScript modules inside ``network``, by name. One that is TorchScript itself has none."""
    import torch

    scripts: dict[str, torch.nn.Module] = {}
    if isinstance(network, torch.jit.ScriptModule):
        return scripts
    for name, module in network.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in scripts)
        if isinstance(module, torch.jit.ScriptModule) and not inside:
            scripts[name] = module
    return scripts


def unscript(network: torch.nn.Module, example: Tensors) -> None:
    """Replace the TorchScript inside ``network``, in place, where the outputs for ``example`` stay the same."""
    scripts = scripts_in(network)
    if not scripts:
        return
    expected = _run(network, example)
    with _recorded(network, scripts) as calls:
        try:
            _run(network, example)
        # A part whose attributes the network reads cannot be replaced, not even for a run.
        except AttributeError:
            return
    for name, script in scripts.items():
        graph = _captured(script, calls[name])
        if graph is None:
            continue
        _put(network, name, graph)
        if not _same(network, example, expected):
            _put(network, name, script)


def _run(network: torch.nn.Module, example: Tensors) -> Any:
    import torch

    with torch.no_grad(), preserved(network):
        # Copied, because a network may work in place.
        return network(*(tensor.clone() for tensor in example))


def _captured(script: torch.nn.Module, calls: list[Tensors]) -> torch.nn.Module | None:
    """The graph of ``script``, or None if it is never called, called on different shapes, or depends on values."""
    from torch.fx.experimental.proxy_tensor import make_fx

    shapes = {tuple((tuple(x.shape), x.dtype) for x in call) for call in calls}
    if len(shapes) != 1:
        return None
    import torch

    try:
        # Fake tensors have no values, so a branch on one is an error here and not a branch that is lost.
        with torch.no_grad():
            capture = make_fx(script, tracing_mode="fake", pre_dispatch=True, _allow_non_fake_inputs=True)
            return capture(*calls[0]).eval()
    except Exception:  # noqa: BLE001 - the tracer and the user's code raise anything; the part then stays as it is
        return None


def _same(network: torch.nn.Module, example: Tensors, expected: Any) -> bool:
    import torch
    from torch.utils import _pytree

    try:
        outputs = _run(network, example)
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError):
        return False
    pairs = zip(_pytree.tree_leaves(outputs), _pytree.tree_leaves(expected), strict=False)
    return all(not isinstance(b, torch.Tensor) or torch.allclose(a, b, equal_nan=True) for a, b in pairs)


@contextmanager
def _recorded(network: torch.nn.Module, scripts: dict[str, torch.nn.Module]) -> Iterator[dict[str, list[Tensors]]]:
    """Yield a dict that gets the arguments of each call of ``scripts``. Other arguments than tensors spoil a part."""
    import torch

    calls: dict[str, list[Tensors]] = {name: [] for name in scripts}

    class Recorder(torch.nn.Module):
        """Runs a script and keeps what it is called with."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            """Run the script."""
            if kwargs or not all(isinstance(x, torch.Tensor) for x in args):
                # Two different entries, so that the part is left alone.
                calls[self.name] += [(), (torch.zeros(1),)]
            else:
                calls[self.name].append(args)
            return scripts[self.name](*args, **kwargs)

    try:
        for name in scripts:
            _put(network, name, Recorder(name))
        yield calls
    finally:
        for name, script in scripts.items():
            _put(network, name, script)


def _put(network: torch.nn.Module, name: str, module: torch.nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)
