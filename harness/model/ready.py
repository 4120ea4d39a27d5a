"""The inputs of a ready-made file: what the file states, with open sizes from ``--input``, the card or the data.

All of it is read from the file's header, so a file that cannot be measured as the command stands is refused before any
runtime is loaded and before anything is stored.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import UsageError
from harness.model.card import ModelCard
from harness.readers.facts import OPEN, FileFacts, FileTensor
from harness.readers.read import read_file
from harness.wire import INPUTS_FILE, OUTPUTS_FILE, REPLY_FILE, REQUEST_FILE, DType, TensorSpec, input_text

# What to do about a value that is no tensor of numbers, by the word for it.
_ADVICE = {
    "strings": "leave the part that reads or makes text out of the file",
    "a sequence": "export the model so that it returns a tensor (skl2onnx: zipmap=False)",
    "a map": "export the model so that it returns a tensor (skl2onnx: zipmap=False)",
}
# Files that a job keeps beside the artifact, so no file of weights may have their names.
_RESERVED = (REQUEST_FILE, REPLY_FILE, INPUTS_FILE, OUTPUTS_FILE, "manifest.json")


def facts_of(card: ModelCard) -> FileFacts | None:
    """Return what the file of a ready-made card says about itself, or None if it cannot be read."""
    return None if card.ready is None else read_file(Path(card.source), card.ready)


def why_unsupported(card: ModelCard, facts: FileFacts) -> str | None:
    """Return why no runner can give the file its inputs or take its outputs, or None if they can."""
    for what, tensors in (("input", facts.inputs), ("output", facts.outputs)):
        for tensor in tensors or ():
            if tensor.dtype is None:
                verb = "holds" if tensor.kind == "strings" else "is"
                advice = _ADVICE.get(tensor.kind, "export the model without it")
                return (
                    f"{what} {tensor.name!r} of {Path(card.source).name} {verb} {tensor.kind}; phonebench supports "
                    f"tensors of numbers only: {advice}"
                )
    return None


def why_not_ready(card: ModelCard) -> str | None:
    """Return why a ready-made file cannot be run, as far as its header shows it, or None if it can be tried.

    Raises `UsageError` for what the user can add: the size of an input, or a file with weights. If there is data, sizes
    may come from there, which is seen only when the data are loaded.
    """
    facts = facts_of(card)
    if facts is None:
        return None
    if card.language is not None:
        # What goes in is tokens, whatever tensors the file has.
        companions_of(card, facts)
        return None
    reason = why_unsupported(card, facts)
    if reason is None:
        companions_of(card, facts)
        inputs = ready_inputs(card, facts.inputs)
        if card.data is None or not card.data.source:
            one_call(card, inputs)
    return reason


def ready_inputs(card: ModelCard, tensors: Sequence[FileTensor] | None) -> tuple[TensorSpec, ...]:
    """Return the inputs of one call, with `OPEN` for each size that nothing has fixed yet.

    ``tensors``: the inputs that the file states, or None if it states none. The inputs of ``card`` replace them by
    name, or by position if there is one for each. They then keep their order, which that of the data follows. Raises
    `UsageError` if they do not fit the file, or if there are none.
    """
    file = Path(card.source).name
    if tensors is None:
        if not card.inputs:
            msg = f"{file} does not state its inputs; describe them in order: --input NAME:DTYPE:1x3x224x224"
            raise UsageError(msg)
        return card.inputs
    by_name = {tensor.name: tensor for tensor in tensors}
    unknown = [spec.name for spec in card.inputs if spec.name not in by_name]
    if len(card.inputs) == len(tensors):
        pairs = zip(tensors, card.inputs, strict=True) if unknown else ((by_name[s.name], s) for s in card.inputs)
        return tuple(_checked(file, tensor, spec) for tensor, spec in pairs)
    if unknown:
        listed = ", ".join(input_text(_stated(tensor)) for tensor in tensors) or "none"
        msg = f"{file} has no input {unknown[0]!r}; it has: {listed}. Correct --input or [[input]]"
        raise UsageError(msg)
    declared = {spec.name: _checked(file, by_name[spec.name], spec) for spec in card.inputs}
    return tuple(declared.get(tensor.name) or _stated(tensor) for tensor in tensors)


def one_call(card: ModelCard, specs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """Return ``specs`` with an open batch as 1.

    Raises `UsageError`, which ends with the options that are missing, if another size is open.
    """
    sized = tuple(replace(s, shape=(1, *s.shape[1:])) if s.shape[:1] == (OPEN,) and s.shape[1:] else s for s in specs)
    missing = " ".join(f"--input {_quoted(input_text(spec))}" for spec in sized if OPEN in spec.shape)
    if missing:
        file = Path(card.source).name
        msg = f"{file} leaves sizes of its inputs open; add this, with a number for each ?, or --data: {missing}"
        raise UsageError(msg)
    return sized


def _quoted(text: str) -> str:
    """``text`` for a shell. A ? needs no quotes here, because it will be replaced by a number."""
    return text if shlex.quote(text.replace("?", "1")) == text.replace("?", "1") else shlex.quote(text)


def with_sizes(spec: TensorSpec, shape: tuple[int, ...]) -> TensorSpec:
    """Return ``spec`` with its open sizes taken from ``shape``, that of one item of the data.

    An item may leave out a batch of 1. Nothing is taken from a shape with another number of dimensions.
    """
    if len(shape) == len(spec.shape) - 1:
        shape = (1, *shape)
    if len(shape) != len(spec.shape):
        return spec
    return replace(spec, shape=tuple(item if own == OPEN else own for own, item in zip(spec.shape, shape, strict=True)))


def companions_of(card: ModelCard, facts: FileFacts) -> tuple[Path, ...]:
    """Return the paths of the further files that hold weights. Raises `UsageError` if one cannot be taken along."""
    source = Path(card.source)
    return tuple(_companion(source, name) for name in facts.companions)


def _companion(source: Path, name: str) -> Path:
    what = f"{source.name} keeps weights in {name!r}"
    advice = "save the model as one file, or with its weights in a file beside it"
    if Path(name).name != name or "\\" in name or name in ("", ".", ".."):
        msg = f"{what}, which is not a file in the same folder; {advice}"
        raise UsageError(msg)
    if name in _RESERVED or name == source.name:
        msg = f"{what}, a name that phonebench uses for another file of a job; {advice} under another name"
        raise UsageError(msg)
    path = source.with_name(name)
    if not path.is_file():
        msg = f"{what}, and there is no such file in {str(source.parent)!r}; copy it there"
        raise UsageError(msg)
    return path


def _stated(tensor: FileTensor) -> TensorSpec:
    """What the file states of an input. A shape without even a number of dimensions is one open size."""
    shape = (OPEN,) if tensor.shape is None else tensor.shape
    return TensorSpec(name=tensor.name, dtype=tensor.dtype or DType.FLOAT32, shape=shape)


def _checked(file: str, tensor: FileTensor, declared: TensorSpec) -> TensorSpec:
    """Return ``declared`` if it fits what the file states."""
    stated = _stated(tensor)
    fits = tensor.shape is None or (
        len(declared.shape) == len(tensor.shape)
        and all(
            own in (OPEN, size) or (tensor.bounded and size < own)
            for own, size in zip(tensor.shape, declared.shape, strict=True)
        )
    )
    if not fits or _sort(declared.dtype) != _sort(stated.dtype):
        msg = f"{file} takes {input_text(stated)}, but {input_text(declared)} is declared; correct --input or [[input]]"
        raise UsageError(msg)
    return declared


def _sort(dtype: DType) -> str:
    """Runners cast within one sort."""
    return "bool" if dtype is DType.BOOL else "float" if dtype.value.startswith("float") else "integer"
