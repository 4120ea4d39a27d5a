"""Folds parametrisations, such as weight and spectral norm, into plain weights.

They compute a weight from other tensors in every call, which serves training. A network that is shipped has the result.
Steps, quantisers and pickles would not recognise the layers, and some of them would change tensors that nothing reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def fold_parametrisations(network: torch.nn.Module) -> None:
    """Replace every parametrised tensor in ``network``, in place, by a parameter with its value. Expects eval mode.

    These are the parametrisations of `torch.nn.utils.parametrize`, own classes included, and the hooks that
    `weight_norm`, `spectral_norm` and `prune` of `torch.nn.utils` used before.
    """
    import torch

    if isinstance(network, torch.jit.ScriptModule):
        return
    with torch.no_grad():
        # A list, because folding removes modules.
        for module in list(network.modules()):
            _fold_registered(module)
            _fold_hooks(module)
            _forget_old_names(module)


def _fold_registered(module: torch.nn.Module) -> None:
    import torch
    from torch.nn.utils import parametrize

    if not parametrize.is_parametrized(module):
        return
    # With gradients, because the result is a buffer and no parameter if it needs none.
    with torch.enable_grad():
        for name in list(module.parametrizations):  # type: ignore[arg-type]
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def _fold_hooks(module: torch.nn.Module) -> None:
    from torch.nn.utils import prune, remove_spectral_norm, remove_weight_norm
    from torch.nn.utils.spectral_norm import SpectralNorm
    from torch.nn.utils.weight_norm import WeightNorm

    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)
        elif isinstance(hook, prune.BasePruningMethod):
            prune.remove(module, hook._tensor_name)


def _forget_old_names(module: torch.nn.Module) -> None:
    """Remove the hooks that read state dicts with the old names of the tensors. One of them could not be pickled."""
    for key, wrapper in list(module._load_state_dict_pre_hooks.items()):
        hook = getattr(wrapper, "hook", wrapper)
        name = getattr(hook, "__qualname__", type(hook).__name__)
        if name in ("weight_norm.<locals>._weight_norm_compat_hook", "SpectralNormLoadStateDictPreHook"):
            del module._load_state_dict_pre_hooks[key]
