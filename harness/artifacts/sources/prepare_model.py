"""Prepares a model: loads the float network and its data once, in a worker process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from harness.artifacts.cache import Cache
from harness.artifacts.sources.prepare_language import prepare_language
from harness.artifacts.sources.prepared_model import (
    CALIBRATION_FILE,
    GROUPS_FILE,
    LABELS_FILE,
    PREPARED_FILE,
    REFERENCE_FILE,
    TRUTH_ARRAY_FILE,
    TRUTH_FILE,
    Prepared,
    PreparedModel,
    read_prepared,
)
from harness.artifacts.verify.plausible import LIMITS
from harness.artifacts.verify.verify import VERIFIED_INPUTS, chosen_rows
from harness.errors import BuildError, UsageError
from harness.model.card import ModelCard, SourceKind
from harness.model.data import Dataset, Split, about_made_up, sizes_from_data, synthetic
from harness.model.keras import load_keras
from harness.model.network import input_specs, is_untrained, load_network, output_names
from harness.model.outputs import named
from harness.model.part_data import load_data
from harness.model.preserve import preserved
from harness.model.purity import Traits, check_function, unstable_calls
from harness.model.ready import companions_of, facts_of, one_call, ready_inputs, why_unsupported
from harness.model.states import from_zeros, with_states
from harness.model.truth import plain_truth
from harness.model.user_code import running
from harness.readers.facts import OPEN, FileFacts, FileTensor
from harness.scoring.class_rows import check_labels
from harness.scoring.marks import mark
from harness.scoring.score import score_outputs
from harness.spec.formats import FORMATS
from harness.spec.recipe import Precision
from harness.system.files import file_sha256, json_sha256
from harness.variants.make import count_macs
from harness.wire import INPUTS_FILE, DType, RuntimeRequest, TensorSpec
from harness.wire.tensors import Array, on_the_wire, write_tensors

if TYPE_CHECKING:
    import torch

# The number of random inputs for a model without data.
RANDOM_COUNT = 32
# How many numbers of outputs are held at once to see what rounding changes.
_MOST_NUMBERS = 1 << 25


def prepare(card: ModelCard, key: str, cache: Cache) -> PreparedModel:
    """Make the entry of ``key``, or return it if another process has made it.

    Raises `BuildError` if the network or its data cannot be loaded, or if the network does not run on them.
    """

    def make(folder: Path) -> None:
        maker = prepare_language if card.language is not None else _makers(card.kind)
        facts = maker(card, key, folder)
        facts = replace(facts, files={file.name: file_sha256(file) for file in sorted(folder.iterdir())})
        (folder / PREPARED_FILE).write_bytes(msgspec.json.encode(facts))

    return cache.find_or_make("prepared", key, read_prepared, make)


def _makers(kind: SourceKind) -> Callable[[ModelCard, str, Path], Prepared]:
    return {SourceKind.READY: _ready_made, SourceKind.KERAS: _keras}.get(kind, _float)


def _float(card: ModelCard, key: str, folder: Path) -> Prepared:
    network = load_network(card)
    splits = _write_data(card, input_specs(card, network), folder)
    inputs = splits.test.inputs
    hint = about_made_up(splits.inputs, card.ranges) if splits.random_inputs else ""
    outputs = run_float(network, inputs, hint=hint)
    # Before anything is built: no file can be compared with a network that has no one answer.
    traits = check_function(card, network, (call_at(inputs, 0), call_at(inputs, splits.test.count // 2)))
    with preserved(network):
        macs = count_macs(network, call_at(inputs, 0))
    return Prepared(
        key=key,
        model=card.name,
        inputs=splits.inputs,
        weights_sha256=weights_sha256(network),
        parameters=sum(p.numel() for p in network.parameters()),
        macs=macs,
        ordered=traits.ordered,
        hints=traits.hints,
        branches=traits.branches,
        tied=tied_weights(network),
        untrained=is_untrained(card, network),
        unstable=_unstable_share(network, inputs, outputs, traits),
        **_write_reference(card, splits, outputs, folder, output_names(network)),
        **splits.facts(folder),
    )


def _unstable_share(
    network: torch.nn.Module, inputs: tuple[Array, ...], outputs: tuple[Array, ...], traits: Traits
) -> float:
    """The share of inputs for which rounding alone changes the outputs by more than a float32 file may differ."""
    most = _MOST_NUMBERS // max(1, sum(output[0].size for output in outputs))
    rows = chosen_rows(len(inputs[0]), max(1, min(VERIFIED_INPUTS, most)))
    skip = [place for place, name in enumerate(traits.names) if name in traits.ordered]
    calls = [call_at(inputs, row) for row in rows]
    expected = [output[list(rows)] for output in outputs]
    return unstable_calls(network, calls, expected, LIMITS[Precision.FP32].input_db, skip=skip) / len(rows)


def _keras(card: ModelCard, key: str, folder: Path) -> Prepared:
    model = load_keras(card)
    splits = _write_data(card, model.inputs, folder)
    count = splits.test.count
    rows = [[on_the_wire(y) for y in model.run([a[i] for a in splits.test.inputs])] for i in range(count)]
    outputs = tuple(np.stack(column) for column in zip(*rows, strict=True))
    return Prepared(
        key=key,
        model=card.name,
        inputs=splits.inputs,
        weights_sha256=model.weights_sha256,
        parameters=model.parameters,
        **_write_reference(card, splits, outputs, folder),
        **splits.facts(folder),
    )


def _ready_made(card: ModelCard, key: str, folder: Path) -> Prepared:
    facts = facts_of(card)
    if facts is not None and (reason := why_unsupported(card, facts)) is not None:
        raise BuildError(reason)
    # A runtime is asked only for what neither the header nor the user says.
    stated = facts.inputs if facts is not None else None if card.inputs else _inputs_of_runtime(card)
    inputs = sizes_from_data(card, ready_inputs(card, stated))
    splits = _write_data(card, one_call(card, inputs), folder)
    _check_stated_outputs(card, splits, facts)
    return Prepared(
        key=key,
        model=card.name,
        inputs=splits.inputs,
        outputs=(),
        weights_sha256=_files_sha256(card, facts),
        parameters=None,
        float_correct=None,
        **splits.facts(folder),
    )


def _check_stated_outputs(card: ModelCard, splits: _Splits, facts: FileFacts | None) -> None:
    """Refuse labels that the first output cannot mean, as far as the file states its shape."""
    labels = splits.test.labels
    output = facts.outputs[0] if facts is not None and facts.outputs else None
    if labels is not None and output is not None and output.shape is not None and not output.bounded:
        # An open batch is one of 1, as for the inputs.
        shape = (1, *output.shape[1:]) if output.shape[:1] == (OPEN,) else output.shape
        if OPEN not in shape:
            check_labels(card, shape, labels, split=Split.TEST.value)


def _files_sha256(card: ModelCard, facts: FileFacts | None) -> str:
    """The digest of the file, or of the digests of all its files."""
    source = Path(card.source)
    companions = companions_of(card, facts) if facts is not None else ()
    digests = [file_sha256(path) for path in (source, *companions)]
    return digests[0] if not companions else json_sha256(digests)


def _inputs_of_runtime(card: ModelCard) -> tuple[FileTensor, ...] | None:
    """The inputs that the runtime finds in a file whose header cannot be read here; None if it does not say."""
    from harness.runners.host.runtimes.registry import open_session
    from harness.runners.host.runtimes.session import SessionError

    path = Path(card.source)
    if card.ready is None:
        msg = f"{path.name} is not a ready-made file"
        raise BuildError(msg)
    request = RuntimeRequest(delegate=FORMATS[card.ready].delegates[0], threads=1)
    try:
        session = open_session(path, request, card.ready)
    except SessionError as error:
        msg = f"{path.name} cannot be loaded: {error}"
        raise BuildError(msg) from error
    specs = session.inputs()
    session.close()
    return None if specs is None else tuple(FileTensor(name=s.name, kind=s.dtype.value, shape=s.shape) for s in specs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Splits:
    """The two splits that are needed to build and measure, and whether they are random."""

    inputs: tuple[TensorSpec, ...]
    test: Dataset
    calibration: Dataset
    random_inputs: bool
    random_calibration: bool

    def facts(self, folder: Path) -> dict[str, Any]:
        """Return the fields of `Prepared` that describe the data."""
        return {
            "data_sha256": file_sha256(folder / INPUTS_FILE),
            "calibration_sha256": file_sha256(folder / CALIBRATION_FILE),
            "test_count": self.test.count,
            "calibration_count": self.calibration.count,
            "labelled": self.test.labels is not None,
            "random_inputs": self.random_inputs,
            "random_calibration": self.random_calibration,
        }


def _write_data(card: ModelCard, inputs: tuple[TensorSpec, ...], folder: Path) -> _Splits:
    """Load both splits and write them in the layout of the wire. Without data, seeded noise takes their place."""
    described = replace(card, inputs=inputs)
    test = load_data(described, Split.TEST) if card.data else None
    calibration = load_data(described, Split.CALIBRATION) if card.data else None
    splits = _Splits(
        inputs=inputs,
        test=test or _made_up(described, card.seed),
        # Another seed, so that the calibration inputs are not the test inputs.
        calibration=calibration or _made_up(described, card.seed + 1),
        random_inputs=test is None,
        random_calibration=calibration is None,
    )
    write_tensors(folder / INPUTS_FILE, splits.test.inputs, inputs)
    write_tensors(folder / CALIBRATION_FILE, splits.calibration.inputs, inputs)
    if splits.test.labels is not None:
        np.save(folder / LABELS_FILE, splits.test.labels, allow_pickle=False)
    _write_truth(splits.test, folder)
    return splits


def _made_up(card: ModelCard, seed: int) -> Dataset:
    noise = synthetic(card.inputs, count=RANDOM_COUNT, seed=seed, ranges=card.ranges)
    return with_states(card, from_zeros(card, noise)) if card.state else noise


def _write_truth(test: Dataset, folder: Path) -> None:
    """Write what the card's metric needs, and the groups of the inputs."""
    if isinstance(test.truth, np.ndarray):
        np.save(folder / TRUTH_ARRAY_FILE, test.truth, allow_pickle=False)
    elif test.truth is not None:
        with running("storing the labels", raises=UsageError, folder=None):
            (folder / TRUTH_FILE).write_bytes(plain_truth(test.truth))
    if test.groups is not None:
        (folder / GROUPS_FILE).write_bytes(msgspec.json.encode(test.groups))


def _write_reference(
    card: ModelCard, splits: _Splits, outputs: tuple[Array, ...], folder: Path, names: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Write the float network's outputs on the test inputs, and return the fields of `Prepared` about them."""
    specs = output_specs(outputs, names)
    _check_finite(card, outputs)
    write_tensors(folder / REFERENCE_FILE, outputs, specs)
    if card.metric is not None and not (card.random_weights or splits.random_inputs):
        # Tried here, so that a metric that fails, or whose labels do not fit, is refused before anything is built.
        score_outputs(card, outputs, splits.test.truth)
    return {"outputs": specs, **_float_accuracy(card, splits, outputs[0])}


def _check_finite(card: ModelCard, outputs: tuple[Array, ...]) -> None:
    """Refuse a model without a single finite output: its files would be blamed for it."""
    floats = [output for output in outputs if output.dtype.kind == "f" and output.size]
    if floats and not any(np.isfinite(output).any() for output in floats):
        msg = (
            f"the float model {card.name!r} itself gives nothing but NaN or infinite values "
            f"({sum(output.size for output in floats):,} of them): check its weights and the range of its inputs"
        )
        raise BuildError(msg)


def _float_accuracy(card: ModelCard, splits: _Splits, output: Array) -> dict[str, int | None]:
    """Mark the float network's answers. Labels that it cannot mean are refused here, before anything is built."""
    test, calibration = splits.test.labels, splits.calibration.labels
    if calibration is not None:
        check_labels(card, output.shape[1:], calibration, split=Split.CALIBRATION.value)
    if test is None:
        return {"float_correct": None, "float_answers": None}
    marks = mark(card, output, test)
    return {"float_correct": int(marks.right.sum()), "float_answers": int(marks.asked.sum())}


def output_specs(outputs: tuple[Array, ...], names: tuple[str, ...] = ()) -> tuple[TensorSpec, ...]:
    """Return specs for arrays of shape ``(count, *shape)``, called ``names``, or by position if those do not fit."""
    fit = names if len(names) == len(outputs) else tuple(f"output_{i}" for i in range(len(outputs)))
    return tuple(
        TensorSpec(name=name, dtype=DType(str(a.dtype)), shape=a.shape[1:])
        for name, a in zip(fit, outputs, strict=True)
    )


def run_float(network: torch.nn.Module, inputs: tuple[Array, ...], *, hint: str = "") -> tuple[Array, ...]:
    """Run ``network`` on every input, one per call. Returns one array per output, of shape ``(count, *output shape)``.

    Nothing of the runs remains in the network. ``hint`` ends the message of an error. Raises `BuildError` if the
    network does not accept the inputs, or if an output has another shape for another input.
    """
    import torch

    calls: list[dict[str, Array]] = []
    with torch.no_grad(), preserved(network):
        for index in range(len(inputs[0])):
            try:
                result = network(*call_at(inputs, index))
            except (RuntimeError, TypeError, ValueError, IndexError) as error:
                msg = f"the network does not run on input {index}: {error}{hint}"
                raise BuildError(msg) from error
            calls.append({name: _plain(output) for name, output in named(result).items()})
    return tuple(_stacked(name, calls) for name in calls[0])


def _stacked(name: str, calls: list[dict[str, Array]]) -> Array:
    """The output ``name`` of all calls. Raises `BuildError` if its shape depends on the input."""
    first = calls[0][name].shape
    for index, call in enumerate(calls):
        shape = call[name].shape if name in call else None
        if shape != first:
            other = "is missing" if shape is None else f"shape {list(shape)}"
            msg = (
                f"{name} of the network has shape {list(first)} for test input 0 and {other} for test input {index}: "
                "every call must return the same shapes. Return a fixed number, such as the 100 best boxes padded with "
                "zeros and how many of them count, or return all boxes and scores and choose among them in the app"
            )
            raise BuildError(msg)
    return np.stack([call[name] for call in calls])


def _plain(output: torch.Tensor) -> Array:
    import torch

    output = output.detach()
    plain = output.float() if output.dtype in (torch.float16, torch.bfloat16, torch.float64) else output
    return on_the_wire(plain.contiguous().numpy())


def call_at(inputs: tuple[Array, ...], index: int) -> tuple[torch.Tensor, ...]:
    """Return the tensors of one call of ``inputs``, arrays of shape ``(count, *shape)``."""
    import torch

    # Copied, because a network may work in place, and arrays from a file may be read-only.
    return tuple(torch.from_numpy(np.array(array[index])) for array in inputs)


def tied_weights(network: torch.nn.Module) -> dict[str, int]:
    """Return the number of elements of each weight that has several names, by those names joined with ``=``."""
    names: dict[int, list[str]] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return {
        " = ".join(names[id(parameter)]): parameter.numel()
        for parameter in network.parameters()
        if len(names[id(parameter)]) > 1
    }


def weights_sha256(network: torch.nn.Module) -> str:
    """Return the SHA-256, in hexadecimal, over the network's printed structure and every tensor of its state."""
    import torch

    # The structure counts as well: networks without weights, or with the same ones, can compute different things.
    digest = hashlib.sha256(str(network).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        # As bytes, because numpy has no bfloat16.
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
