"""Loads the float network of a card: builds or reads it, loads its weights strictly, and runs it once.

A network leaves this module only after it has run on the inputs that its card declares. An export error later on is
then never about a wrong shape or missing weights.
"""

from __future__ import annotations

import inspect
import warnings
import weakref
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from harness.errors import BuildError, UsageError, first_line
from harness.model.card import ModelCard, PartCard, SourceKind, last_parts, own_part, takes
from harness.model.compose import compose
from harness.model.data import Dataset, about_made_up, load_split, synthetic
from harness.model.element_types import element_type
from harness.model.outputs import check_tensors, flattening, is_flat, named
from harness.model.parametrised import fold_parametrisations
from harness.model.preserve import is_lazy, preserved
from harness.model.splits import Split
from harness.model.unscript import unscript
from harness.model.user_code import is_beside, is_reference, load_object, need_torch, running, split_reference
from harness.wire import DType, TensorSpec, shape_text

if TYPE_CHECKING:
    import torch

    Tensors = tuple[torch.Tensor, ...]

_SHOWN_KEYS = 3
# Element types of which any value can be computed with.
_ANY_VALUE = (DType.FLOAT32, DType.FLOAT16, DType.BOOL)

# The example inputs that a network came with, and their names. They are kept beside the network, because an attribute
# on the module would be exported, copied and pickled with it.
_EXAMPLES: weakref.WeakKeyDictionary[torch.nn.Module, tuple[tuple[str, ...], Tensors]] = weakref.WeakKeyDictionary()
# The names of the outputs, from the structure that the network itself returns.
_OUTPUTS: weakref.WeakKeyDictionary[torch.nn.Module, tuple[str, ...]] = weakref.WeakKeyDictionary()


def load_network(card: ModelCard) -> torch.nn.Module:
    """Return the network of ``card`` in eval mode on the CPU, with weights loaded unless ``card.random_weights``.

    Raises `BuildError` when it cannot be built, its weights do not fit, or it does not run on the card's inputs;
    `MissingPackageError` when a package is not installed.
    """
    need_torch(f"loading the model {card.name!r}")
    match card.kind:
        case SourceKind.PYTHON:
            network = _from_python(card)
        case SourceKind.EXPORTED:
            network = _from_exported(Path(card.source))
        case SourceKind.TORCHSCRIPT:
            network = _from_torchscript(Path(card.source))
        case SourceKind.COMPOSED:
            network = _from_parts(card, card.parts, last_parts(card))
        case SourceKind.KERAS:
            msg = f"model {card.name!r} is a Keras model or a SavedModel, which has no PyTorch network to load"
            raise BuildError(msg)
        case SourceKind.LANGUAGE:
            msg = f"model {card.name!r} is a language model, which takes no steps of other networks"
            raise BuildError(msg)
        case SourceKind.READY:
            msg = f"model {card.name!r} is a ready-made file, which has no network to load"
            raise BuildError(msg)
        case _:
            assert_never(card.kind)
    network.eval()
    fold_parametrisations(network)
    if (own := own_part(card)) is not None:
        _keep_passed_on(*own, before_part(card), network)
    return _tried(card, network) if card.inputs or network in _EXAMPLES else network


def output_names(network: torch.nn.Module) -> tuple[str, ...]:
    """Return the names of the outputs of a network that `load_network` returned; empty if it could not be run there."""
    return _OUTPUTS.get(network, ())


def is_untrained(card: ModelCard, network: torch.nn.Module) -> bool:
    """Return whether ``network`` has weights as initialised although ``card`` does not say so.

    Only factories of installed packages are looked at, such as torchvision's, which give an untrained network by
    default: another seed gives other weights. A user's own factory may train its network when it is called.
    """
    import torch

    module = split_reference(card.source)[0] if card.kind is SourceKind.PYTHON else ""
    if not module or card.weights is not None or card.random_weights or is_beside(module, card.folder):
        return False
    try:
        other = _built(replace(card, seed=card.seed + 1))
    except BuildError:
        return False
    other = other[0] if isinstance(other, tuple) else other
    theirs = dict(other.named_parameters()) if isinstance(other, torch.nn.Module) else {}
    sizes = [
        (p.numel(), name in theirs and bool(torch.equal(p, theirs[name]))) for name, p in network.named_parameters()
    ]
    # Biases and norms begin with the same numbers under every seed, and a new head on a trained body with others.
    return sum(count for count, same in sizes if not same) > sum(count for count, same in sizes if same)


def before_part(card: ModelCard) -> torch.nn.Module:
    """Return the network that computes the inputs of a part from the inputs of the whole model.

    ``card`` is the card of a part. The network returns one tensor, or a tuple of several. Raises `BuildError` as
    `load_network` does.
    """
    own = own_part(card)
    if own is None:
        msg = f"model {card.name!r} is not a part of another model, so nothing comes before it"
        raise BuildError(msg)
    whole, part = own
    return _from_parts(whole, whole.parts[: whole.parts.index(part)], takes(whole, part))


def input_specs(card: ModelCard, network: torch.nn.Module | None = None) -> tuple[TensorSpec, ...]:
    """Return the input tensors of one call: those of the card, else those that ``network`` came with.

    Raises `UsageError` naming ``--input`` when neither has them, `BuildError` for an element type that no runner
    supports.
    """
    if card.inputs:
        return card.inputs
    if network is None or network not in _EXAMPLES:
        msg = f"model {card.name!r} does not declare its inputs; use --input NAME:DTYPE:SHAPE or add [[input]]"
        raise UsageError(msg)
    names, examples = _EXAMPLES[network]
    return tuple(_spec(n, x) for n, x in zip(names, examples, strict=True))


def example_inputs(card: ModelCard, network: torch.nn.Module | None = None) -> Tensors:
    """Return the inputs of one call: those that ``network`` came with if they fit the card, else seeded random ones.

    Integers without a declared range are taken from the data, if there are any. Raises as `input_specs` and
    `load_split` do.
    """
    import numpy as np
    import torch

    specs = input_specs(card, network)
    if network is not None and network in _EXAMPLES:
        examples = _EXAMPLES[network][1]
        # --input may have declared other shapes than those of the examples.
        if [tuple(x.shape) for x in examples] == [s.shape for s in specs]:
            return examples
    dataset = _first_data(card, specs) or synthetic(specs, count=1, seed=card.seed, ranges=card.ranges)
    return tuple(torch.from_numpy(np.array(a[0])) for a in dataset.inputs)


def _first_data(card: ModelCard, specs: tuple[TensorSpec, ...]) -> Dataset | None:
    """The data, where a network may not run on made-up inputs: integers of unknown range are often indices."""
    ranged = {limits.name for limits in card.ranges}
    if card.data is None or all(spec.dtype in _ANY_VALUE or spec.name in ranged for spec in specs):
        return None
    described = replace(card, inputs=specs)
    return load_split(described, Split.CALIBRATION) or load_split(described, Split.TEST)


def _from_parts(card: ModelCard, parts: tuple[PartCard, ...], outputs: tuple[str, ...]) -> torch.nn.Module:
    modules: dict[str, torch.nn.Module] = {}
    for part in parts:
        alone = replace(card, kind=part.kind, source=part.source, weights=part.weights, inputs=(), parts=(), whole=None)
        modules[part.name] = load_network(alone)
    return compose(card, modules, example_inputs(card), outputs)


def _keep_passed_on(whole: ModelCard, part: PartCard, before: torch.nn.Module, network: torch.nn.Module) -> None:
    """Keep the outputs of the parts before as the example inputs of ``network``."""
    import torch

    with torch.no_grad(), preserved(before):
        result = before(*example_inputs(whole))
    tensors = result if isinstance(result, tuple) else (result,)
    names = takes(whole, part)
    # A part with several outputs passes on more tensors than there are names.
    numbered = tuple(f"{'_'.join(names)}_{i}" for i in range(len(tensors)))
    _keep_examples(network, tensors, part.source, names if len(names) == len(tensors) else numbered)


def _from_python(card: ModelCard) -> torch.nn.Module:
    import torch

    built = _built(card)
    network, examples = built if isinstance(built, tuple) and len(built) == 2 else (built, None)
    if not isinstance(network, torch.nn.Module):
        msg = f"{card.source}() returned a {type(network).__name__}; return an nn.Module, or (module, example inputs)"
        raise BuildError(msg)
    if examples is not None:
        _keep_examples(network, examples, card.source)
    if card.weights is not None and not card.random_weights:
        _load_weights(card, card.weights, network)
    return network


def _built(card: ModelCard) -> Any:
    """What the factory of ``card`` returns."""
    import torch

    home = card.folder or Path.cwd()
    factory = load_object(card.source, card.folder, raises=BuildError)
    # fork_rng keeps our seed from changing the random state of the rest of the process.
    with torch.random.fork_rng(devices=[]), running(f"{card.source}()", raises=BuildError, folder=home):
        torch.manual_seed(card.seed)
        return factory if isinstance(factory, torch.nn.Module) else factory()


def _from_exported(path: Path) -> torch.nn.Module:
    import torch

    hint = "; save it again with torch.export.save, using the installed version of torch"
    with running(f"reading {str(path)!r}", raises=BuildError, folder=None, hint=hint):
        program = torch.export.load(path)
    # Guards are Python code that TorchScript cannot trace. A wrong shape shows when the network is run below.
    network = program.module(check_guards=False)
    _check_inference(network, path)
    # torch replaces train() and eval() of an exported graph by methods that raise. This graph is in inference form
    # already, so the methods of nn.Module may come back: they have nothing to change.
    for name in ("train", "eval"):
        network.__dict__.pop(name, None)
    args, kwargs = program.example_inputs or ((), {})
    if kwargs:
        msg = f"{path.name} takes the keyword inputs {', '.join(kwargs)}; export it with positional inputs only"
        raise BuildError(msg)
    if args:
        _keep_examples(network, args, path.name, tuple(program.graph_signature.user_inputs))
    return network


def _check_inference(network: torch.fx.GraphModule, path: Path) -> None:
    """Refuse a graph whose dropout or batch norm was exported in training mode."""
    # The position of each operator's argument ``train`` or ``training``.
    position = {"aten.dropout.default": 2, "aten.batch_norm.default": 5}
    for node in network.graph.nodes:
        at = position.get(str(node.target))
        if at is not None and len(node.args) > at and node.args[at] is True:
            msg = f"{path.name} was exported in training mode ({node.name}); call eval() before torch.export.export"
            raise BuildError(msg)


def _from_torchscript(path: Path) -> torch.nn.Module:
    import torch

    hint = "; save it again with torch.export.save to .pt2"
    with running(f"reading {str(path)!r}", raises=BuildError, folder=None, hint=hint), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit.load` is deprecated")
        network: torch.nn.Module = torch.jit.load(path, map_location="cpu")
    return network


def _keep_examples(network: torch.nn.Module, examples: Any, where: str, names: tuple[str, ...] = ()) -> None:
    import torch

    tensors = tuple(examples) if isinstance(examples, tuple | list) else (examples,)
    if not tensors or not all(isinstance(x, torch.Tensor) for x in tensors):
        kinds = ", ".join(type(x).__name__ for x in tensors) or "none"
        msg = f"{where} has the example inputs {kinds}; give one tensor per input"
        raise BuildError(msg)
    detached = tuple(x.detach().cpu() for x in tensors)
    _EXAMPLES[network] = (names if len(names) == len(tensors) else _names(network, len(tensors)), detached)


def _names(network: torch.nn.Module, count: int) -> tuple[str, ...]:
    """The parameter names of ``forward`` for the first ``count`` inputs."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in inspect.signature(network.forward).parameters.values() if p.kind in kinds]
    return tuple(names[:count]) if len(names) >= count else tuple(f"input_{i}" for i in range(count))


def _spec(name: str, tensor: torch.Tensor) -> TensorSpec:
    dtype = element_type(str(tensor.dtype).removeprefix("torch."), f"input {name!r}")
    return TensorSpec(name=name, dtype=dtype, shape=tuple(tensor.shape))


def _tried(card: ModelCard, network: torch.nn.Module) -> torch.nn.Module:
    """Run ``network`` once, and return it so that it returns a tensor or a flat tuple."""
    import torch

    specs = input_specs(card, network)
    shown = ", ".join(f"{s.name} {s.dtype.value} {shape_text(s.shape)}" for s in specs)
    what = f"running the network of {card.name!r} on {shown}"
    given = _EXAMPLES.get(network)
    hint = about_made_up(specs, card.ranges) if card.data is None and given is None else ""
    # The first run gives lazy layers their shapes, which must stay.
    untouched = nullcontext() if is_lazy(network) else preserved(network)
    with torch.no_grad(), untouched, running(what, raises=BuildError, folder=card.folder, hint=hint):
        example = example_inputs(card, network)
        # Copied, because a network may work in place.
        result = network(*(tensor.clone() for tensor in example))
    check_tensors(card.name, result)
    unscript(network, example)
    names = tuple(named(result))
    if not is_flat(result) and not isinstance(network, torch.jit.ScriptModule):
        network = flattening(network)
    if given is not None:
        _EXAMPLES[network] = given
    _OUTPUTS[network] = names
    return network


def _load_weights(card: ModelCard, weights: str, network: torch.nn.Module) -> None:
    state = _referenced_state(card, weights) if is_reference(weights) else _state_of_file(card, weights)
    _check_state(state, weights)
    own = network.state_dict()
    wrong = [f"{k} is {list(state[k].shape)} in the weights, {list(own[k].shape)} in the network" for k in own
             if k in state and state[k].shape != own[k].shape]  # fmt: skip
    # load_state_dict raises for wrong shapes even with strict=False, so these are taken out first. With strict=True it
    # would list every key of a wrong file in one message.
    fit = {k: v for k, v in state.items() if k not in own or v.shape == own[k].shape} if wrong else state
    result = network.load_state_dict(fit, strict=False)
    missing = [k for k in result.missing_keys if k not in state]
    problems = {"missing": missing, "unexpected": list(result.unexpected_keys), "of another shape": wrong}
    listed = "; ".join(f"{len(keys)} {what}: {_few(keys)}" for what, keys in problems.items() if keys)
    if listed:
        msg = f"the weights {weights!r} do not fit the network of model {card.name!r}: {listed}"
        raise BuildError(msg)


def _few(keys: list[str]) -> str:
    return ", ".join(keys[:_SHOWN_KEYS]) + (", …" if len(keys) > _SHOWN_KEYS else "")


def _check_state(state: object, weights: str) -> None:
    import torch

    if isinstance(state, Mapping) and state and all(isinstance(v, torch.Tensor) for v in state.values()):
        return
    content = _few([str(k) for k in state]) if isinstance(state, Mapping) else type(state).__name__
    msg = f"the weights {weights!r} are not a state dict; they hold: {content or 'nothing'}; save network.state_dict()"
    raise BuildError(msg)


def _state_of_file(card: ModelCard, weights: str) -> Any:
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = (card.folder or Path()) / weights
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message advises to load the file with pickle, which would run whatever is in it.
        msg = f"cannot read the weights {str(path)!r}: it is damaged or holds more than tensors; save the state dict"
        raise BuildError(msg) from error
    except (OSError, SafetensorError, RuntimeError, EOFError) as error:
        msg = f"cannot read the weights {str(path)!r}: {first_line(error)}; save them again"
        raise BuildError(msg) from error


def _referenced_state(card: ModelCard, weights: str) -> Any:
    source = load_object(weights, card.folder, raises=BuildError)
    hint = "; offline, use --random-weights to measure speed only"
    with running(f"loading the weights {weights!r}", raises=BuildError, folder=card.folder, hint=hint):
        # torchvision's weights are enum members that download a state dict; anything else is called.
        fetch: Callable[..., Any] | None = getattr(source, "get_state_dict", None)
        if fetch is None:
            return source()
        return fetch(progress=False, check_hash=True) if _takes_anything(fetch) else fetch()


def _takes_anything(function: Callable[..., Any]) -> bool:
    """Whether ``function`` takes any keyword, as torchvision's weights do to pass them on to the download."""
    parameters = inspect.signature(function).parameters.values()
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
