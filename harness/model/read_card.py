"""Reads model cards from a folder with ``model.toml``, from a model file, or from a factory.

A card is read without loading or importing anything, so a whole run can be checked before any work starts. Every key
and type is checked here. What only the network itself can show is checked when it is loaded.
"""

from __future__ import annotations

import math
import re
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import UsageError, suggestion
from harness.model.card import (
    CARD_FILE,
    KINDS,
    DataCard,
    InputRange,
    ModelCard,
    ModelOptions,
    PartCard,
    SourceKind,
    StateLink,
    Task,
    is_saved_model,
)
from harness.model.distinct import plain_name
from harness.model.language import (
    CHOICES_SUFFIX,
    CONFIG_FILE,
    GENAI_FILE,
    TEXT_SUFFIXES,
    check_text,
    is_genai_folder,
    is_language_folder,
    read_config,
    read_ready,
    why_no_language,
    with_data,
)
from harness.model.read_metric import check_module, read_metric
from harness.model.read_parts import check_links, read_parts
from harness.model.targets import Preset
from harness.model.user_code import is_reference, split_reference
from harness.spec.decode import check_keys, check_name, decode, read_toml
from harness.wire import DType, Format, TensorSpec

MAX_ELEMENTS = 2**28
MODEL_KEYS = (
    "name", "task", "source", "weights", "license", "metric", "target", "student", "class_axis", "ignore_index",
)  # fmt: skip

_INTEGERS: dict[DType, tuple[int, int]] = {
    DType.UINT8: (0, 2**8 - 1),
    DType.INT8: (-(2**7), 2**7 - 1),
    DType.INT16: (-(2**15), 2**15 - 1),
    DType.INT32: (-(2**31), 2**31 - 1),
    DType.INT64: (-(2**63), 2**63 - 1),
}
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
SCALAR = "scalar"
_NUMBER = r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_INPUT = re.compile(
    rf"(?P<name>.*):(?P<dtype>\w+):(?P<shape>{SCALAR}|\d+(?:x\d+)*)(?::(?P<low>{_NUMBER})\.\.(?P<high>{_NUMBER}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ModelTable:
    """The table ``[model]`` of a card."""

    name: str
    source: str
    task: Task = Task.OTHER
    weights: str | None = None
    license: str = ""
    target: str | None = None
    student: str | None = None
    class_axis: int | None = None
    ignore_index: int | None = None


def read_card(folder: Path, options: ModelOptions) -> ModelCard:
    """Return the card of ``folder``. Raises `UsageError` naming the file and the key."""
    folder = folder.resolve()
    file = folder / CARD_FILE
    values = _read_toml(file)
    check_keys(values, ("model", "part", "input", "data", "state"), where=str(file))
    parts = read_parts(values["part"], file) if "part" in values else ()
    table = _model_table(values, file, parts=tuple(part.name for part in parts))
    inputs = _inputs(values.get("input", []), file)
    metric, metric_options = read_metric(values.get("model", {}).get("metric"), folder, f"[model] of {file}")
    card = ModelCard(
        name=table.name,
        task=table.task,
        kind=SourceKind.PYTHON,
        source=table.source,
        folder=folder,
        weights=table.weights,
        license=table.license,
        inputs=tuple(spec for spec, _ in inputs),
        ranges=tuple(limits for _, limits in inputs if limits is not None),
        parts=parts,
        data=_data(values["data"], folder) if "data" in values else None,
        random_weights=False,
        seed=options.seed,
        metric=metric,
        metric_options=metric_options,
        target=table.target,
        student=table.student,
        class_axis=table.class_axis,
        ignore_index=table.ignore_index,
        state=_state(values.get("state", {}), tuple(spec.name for spec, _ in inputs), file),
    )
    if parts:
        card = replace(card, kind=SourceKind.COMPOSED, parts=_checked_parts(card, file))
        check_links(card, str(file))
        return with_options(card, options)
    card = _with_source(card, where=f"source in [model] of {file}")
    card = with_options(card, options)
    _check_weights(card, f"[model] of {file}")
    _check_student(card, file)
    return card


def _checked_parts(card: ModelCard, file: Path) -> tuple[PartCard, ...]:
    """Return the parts with their kinds and the absolute paths of their files, each checked as a model would be."""
    return tuple(_checked_part(card, part, f"[[part]] {part.name!r} of {file}") for part in card.parts)


def _checked_part(card: ModelCard, part: PartCard, where: str) -> PartCard:
    alone = _with_source(replace(card, source=part.source, weights=part.weights), where=f"source in {where}")
    if alone.kind not in (SourceKind.PYTHON, SourceKind.EXPORTED):
        msg = f"source in {where} is {part.source!r}; only module:name and .pt2 files can be parts"
        raise UsageError(msg)
    _check_weights(alone, where)
    return replace(part, kind=alone.kind, source=alone.source)


def read_file(path: Path, options: ModelOptions) -> ModelCard:
    """Return the card of a single model file. Raises `UsageError` for a file that has no network in it."""
    return with_options(_with_source(_bare(path.stem, str(path.absolute()), options), where="the model"), options)


def read_factory(reference: str, options: ModelOptions) -> ModelCard:
    """Return the card of ``package.module:factory``. Raises `UsageError` when there is no such module."""
    name = split_reference(reference)[1].rpartition(".")[2]
    return with_options(_with_source(_bare(name, reference, options), where="the model"), options)


def with_options(card: ModelCard, options: ModelOptions) -> ModelCard:
    """Return ``card`` with the command-line options applied. Raises `UsageError` for options that do not fit it."""
    given = tuple(map(parse_input, options.inputs))
    inputs = tuple(spec for spec, _ in given)
    _check_unique(inputs, "--input")
    if inputs and card.inputs and card.ready is None and {s.name for s in inputs} != {s.name for s in card.inputs}:
        names = ", ".join(s.name for s in card.inputs)
        msg = f"--input names {', '.join(s.name for s in inputs)}; model {card.name!r} has the inputs: {names}"
        raise UsageError(msg)
    if card.language is not None:
        return _language_options(card, options)
    if card.kind is SourceKind.TORCHSCRIPT and not inputs and not card.inputs:
        msg = f"{card.source!r} is TorchScript, which does not declare its inputs; use --input NAME:DTYPE:SHAPE"
        raise UsageError(msg)
    return replace(
        card,
        inputs=inputs or card.inputs,
        ranges=_ranges(card.ranges, tuple(limits for _, limits in given if limits is not None)),
        data=_data_of_option(options.data, card) if options.data is not None else card.data,
        # Other sources carry their weights in the network's own file, where they cannot be left out.
        random_weights=options.random_weights and card.kind in (SourceKind.PYTHON, SourceKind.COMPOSED),
    )


def _language_options(card: ModelCard, options: ModelOptions) -> ModelCard:
    """Return the card of a language model with its text and questions. Raises `UsageError` for other data."""
    if options.inputs:
        msg = (
            f"--input describes tensors, and {card.name!r} is a language model: give the lengths of prompts by --prompt"
        )
        raise UsageError(msg)
    own = card.data.source if card.data is not None else None
    given = _data_of_option(options.data, replace(card, data=None)).source if options.data is not None else None
    facts = card.language
    for source, where in ((own, "[data]"), (given, "--data")):
        if source is not None and facts is not None:
            check_text(Path(source), where)
            facts = with_data(facts, Path(source))
    return replace(card, language=facts, data=None, task=Task.OTHER)


def parse_input(text: str) -> tuple[TensorSpec, InputRange | None]:
    """Return the input that ``--input`` describes, and the range of its values if the option has one.

    ``text`` is ``NAME:DTYPE:1x3x224x224`` or ``NAME:DTYPE:scalar``; the name may contain colons. A range may follow, as
    in ``ids:int64:1x128:0..30521``. Raises `UsageError`.
    """
    match = _INPUT.fullmatch(text)
    if match is None:
        numbers = "write a number for each ?" if re.search(r":[\dx]*\?[\dx?]*$", text) else "write NAME:DTYPE:SHAPE"
        msg = f"--input is {text!r}; {numbers}, such as image:float32:1x3x224x224, or rate:int64:scalar"
        raise UsageError(msg)
    where = f"--input {text!r}"
    check_name("dtype", match["dtype"], DType, where=where)
    sizes = () if match["shape"] == SCALAR else tuple(map(int, match["shape"].split("x")))
    spec = TensorSpec(name=match["name"], dtype=DType(match["dtype"]), shape=sizes)
    _check_spec(spec, where)
    limits = match["low"] and _range(spec, [float(match["low"]), float(match["high"])], where)
    return spec, limits or None


def _ranges(declared: tuple[InputRange, ...], given: tuple[InputRange, ...]) -> tuple[InputRange, ...]:
    """The ranges of a card, with those of the command line in place of its own."""
    replaced = {limits.name for limits in given}
    return (*(limits for limits in declared if limits.name not in replaced), *given)


def _bare(name: str, source: str, options: ModelOptions) -> ModelCard:
    """A card for a model without ``model.toml``. Its outputs count as class scores only when labels are given."""
    return ModelCard(
        name=plain_name(name),
        task=Task.OTHER if options.data is None else Task.CLASSIFICATION,
        kind=SourceKind.PYTHON,
        source=source,
        folder=None,
        weights=None,
        license="",
        inputs=(),
        data=None,
        random_weights=False,
        seed=options.seed,
    )


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return read_toml(file, what="the model card")
    except FileNotFoundError:
        no_language = why_no_language(file.parent)
        so = f", and is no language model: {no_language}" if no_language else ""
        msg = f"the folder {str(file.parent)!r} has no {CARD_FILE}{so}; add one as described in docs/models.md"
        raise UsageError(msg) from None


def _table(value: object, keys: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        msg = f"{where} must be a table; got {value!r}"
        raise UsageError(msg)
    check_keys(value, keys, where=where)
    return value


def _model_table(values: dict[str, Any], file: Path, *, parts: tuple[str, ...]) -> _ModelTable:
    where = f"[model] of {file}"
    table = _table(values.get("model", {}), MODEL_KEYS, where)
    if parts:
        misplaced = next((key for key in ("source", "weights") if key in table), None)
        if misplaced is not None:
            msg = f"{misplaced} is in {where}, but the model has parts; move it to each [[part]]"
            raise UsageError(msg)
        table = table | {"source": ", ".join(parts)}
    if "task" in table:
        check_name("task", table["task"], Task, where=where)
    if "target" in table:
        check_name("target", table["target"], Preset, where=where)
    # The metric may be a table of its own, which `read_metric` reads.
    model = decode({key: value for key, value in table.items() if key != "metric"}, _ModelTable, where=where)
    if not MODEL_NAME.fullmatch(model.name):
        msg = f"name is {model.name!r} in {where}; use letters, digits, '_', '.' and '-', a letter or digit first"
        raise UsageError(msg)
    return model


def _inputs(tables: object, file: Path) -> tuple[tuple[TensorSpec, InputRange | None], ...]:
    if not isinstance(tables, list):
        msg = f"input in {file} must be an array of tables; write [[input]], not [input]"
        raise UsageError(msg)
    inputs: list[tuple[TensorSpec, InputRange | None]] = []
    for number, value in enumerate(tables, start=1):
        where = f"[[input]] number {number} of {file}"
        table = dict(_table(value, ("name", "dtype", "shape", "range"), where))
        if "dtype" in table:
            check_name("dtype", table["dtype"], DType, where=where)
        limits = table.pop("range", None)
        spec = decode(table, TensorSpec, where=where)
        _check_spec(spec, where)
        inputs.append((spec, None if limits is None else _range(spec, limits, where)))
    _check_unique(tuple(spec for spec, _ in inputs), str(file))
    return tuple(inputs)


def _range(spec: TensorSpec, limits: object, where: str) -> InputRange:
    numbers = limits if isinstance(limits, list) and all(type(n) in (int, float) for n in limits) else []
    if len(numbers) != 2 or not -math.inf < numbers[0] <= numbers[1] < math.inf:
        msg = f"range is {limits!r} in {where}; give two numbers, [smallest, largest]"
        raise UsageError(msg)
    low, high = float(numbers[0]), float(numbers[1])
    if spec.dtype in _INTEGERS:
        least, most = _INTEGERS[spec.dtype]
        if low < least or high > most or math.ceil(low) > math.floor(high):
            msg = f"range is {limits!r} in {where}; {spec.dtype.value} holds the integers from {least} to {most}"
            raise UsageError(msg)
    return InputRange(name=spec.name, low=low, high=high)


def _check_spec(spec: TensorSpec, where: str) -> None:
    if not spec.name:
        msg = f"an input has no name in {where}"
        raise UsageError(msg)
    # A shape without sizes is a scalar.
    if min(spec.shape, default=1) < 1 or math.prod(spec.shape) > MAX_ELEMENTS:
        msg = f"shape is {list(spec.shape)} in {where}; give sizes of at least 1 with a product up to {MAX_ELEMENTS}"
        raise UsageError(msg)


def _check_unique(specs: tuple[TensorSpec, ...], where: str) -> None:
    names = [s.name for s in specs]
    repeated = next((n for n in names if names.count(n) > 1), None)
    if repeated is not None:
        msg = f"two inputs are named {repeated!r} in {where}; give each its own name"
        raise UsageError(msg)


def _state(table: object, inputs: tuple[str, ...], file: Path) -> tuple[StateLink, ...]:
    """The states, of which only the inputs can be checked without the network."""
    where = f"[state] of {file}"
    outputs = list(table.values()) if isinstance(table, dict) else []
    if not isinstance(table, dict) or not all(isinstance(output, str) for output in outputs):
        msg = f'{where} is {table!r}; give the output for each input that it feeds, such as h_in = "h_out"'
        raise UsageError(msg)
    check_keys(table, inputs, where=where)
    repeated = next((output for output in outputs if outputs.count(output) > 1), None)
    if repeated is not None:
        msg = f"{where} has the output {repeated!r} twice; each state needs its own"
        raise UsageError(msg)
    if table and len(table) == len(inputs):
        msg = f"{where} has every input ({', '.join(inputs)}); at least one must take data"
        raise UsageError(msg)
    return tuple(StateLink(input=name, output=output) for name, output in table.items())


def _data(value: object, folder: Path) -> DataCard:
    where = f"[data] of {folder / CARD_FILE}"
    table = _table(value, ("source", "resize", "crop", "mean", "std", "background"), where)
    data = decode({"source": ""} | table, DataCard, where=where)
    _check_images(data, where)
    # A card may say how images become tensors and leave the images to --data.
    only_images = "source" not in table and bool(table)
    return data if only_images else _located(data, folder, where)


def _check_images(data: DataCard, where: str) -> None:
    for key in ("resize", "crop"):
        size = getattr(data, key)
        if size is not None and not 1 <= size <= 4096:
            msg = f"{key} is {size} in {where}; it must be from 1 to 4096"
            raise UsageError(msg)
    if data.resize is not None and data.crop is not None and data.crop > data.resize:
        msg = f"crop is {data.crop} and resize is {data.resize} in {where}; the crop cannot be larger than the image"
        raise UsageError(msg)
    colour = data.background
    if colour is not None and (len(colour) not in (1, 3) or not all(0 <= value <= 255 for value in colour)):
        msg = f"background is {list(colour)} in {where}; give one value from 0 to 255, or three: red, green, blue"
        raise UsageError(msg)
    if not data.mean or not data.std or any(s <= 0 for s in data.std):
        msg = (
            f"mean is {list(data.mean)} and std is {list(data.std)} in {where}; give one value per channel, std over 0"
        )
        raise UsageError(msg)


def _data_of_option(text: str, card: ModelCard) -> DataCard:
    data = replace(card.data, source=text) if card.data is not None else DataCard(source=text)
    home = card.folder if is_reference(text) and card.folder is not None else Path.cwd()
    return _located(data, home, "--data")


def _located(data: DataCard, folder: Path, where: str) -> DataCard:
    """Return ``data`` with the absolute path of its file or folder; a reference stays unchanged."""
    path = folder / Path(data.source).expanduser()
    if path.suffix.lower() in (*TEXT_SUFFIXES, CHOICES_SUFFIX):
        check_text(path, where)
        return replace(data, source=str(path.resolve()))
    if is_reference(data.source) and not path.exists():
        check_module(data.source, folder, f"source {data.source!r} in {where}")
        return data
    if not data.source or not (path.is_dir() or (path.is_file() and path.suffix == ".npz")):
        msg = f"source is {data.source!r} in {where}; give an image folder, an .npz file or module:function that exists"
        raise UsageError(msg)
    return replace(data, source=str(path.resolve()))


def _with_source(card: ModelCard, *, where: str) -> ModelCard:
    """Return ``card`` with its kind and, for a file, its absolute path. Raises `UsageError` for an unfit source."""
    path = (card.folder or Path()) / card.source
    if is_reference(card.source) and not path.exists():
        check_module(card.source, card.folder, f"{where} is {card.source!r}")
        return card
    if (described := _with_language(card, path, where=where)) is not None:
        return described
    saved_model = is_saved_model(path)
    kind = SourceKind.KERAS if saved_model else KINDS.get(path.suffix.lower())
    if kind is None or not (saved_model or path.is_file()):
        advice = (
            f"there is no such file; {_similar(path, tuple(KINDS))}"
            if kind is not None
            else f"use module:name, a file with the suffix {_suffixes()}, or a SavedModel"
        )
        msg = f"{where} is {card.source!r}: {advice}"
        raise UsageError(msg)
    if card.weights is not None:
        msg = f"{where} is {card.source!r}, which contains its weights; leave out the key 'weights'"
        raise UsageError(msg)
    _check_archive(path, kind)
    ready = Format(path.suffix.lower()[1:]) if kind is SourceKind.READY else None
    # A link stays as it is: files with weights lie beside it, and its target may have another name and no suffix.
    language = read_ready(path, ready) if ready is not None else None
    return replace(card, kind=kind, source=str(path.absolute()), ready=ready, language=language)


def _with_language(card: ModelCard, path: Path, *, where: str) -> ModelCard | None:
    """Return ``card`` for a folder with a language model, or for its configuration; None for any other source."""
    folder = path.parent if path.name in (CONFIG_FILE, GENAI_FILE) else path
    if is_genai_folder(folder):
        file = folder.absolute() / GENAI_FILE
        facts = read_ready(file, Format.GENAI)
        return replace(card, kind=SourceKind.READY, source=str(file), ready=Format.GENAI, language=facts)
    if not is_language_folder(folder):
        if path.name == CONFIG_FILE and (why := why_no_language(folder)) is not None:
            msg = f"{where} is {card.source!r}, which describes no language model: {why}"
            raise UsageError(msg)
        return None
    if card.weights is not None:
        msg = f"{where} is {card.source!r}, a folder that contains its weights; leave out the key 'weights'"
        raise UsageError(msg)
    return replace(card, kind=SourceKind.LANGUAGE, source=str(folder.absolute()), language=read_config(folder))


def _suffixes() -> str:
    return ", ".join(sorted(KINDS))


def _similar(path: Path, suffixes: tuple[str, ...]) -> str:
    """The end of a sentence: which of the files beside the missing ``path`` is probably meant."""
    names = [file.name for file in path.parent.glob("*") if file.suffix.lower() in suffixes]
    return suggestion(path.name, names) if names else "check the path"


def _check_archive(path: Path, kind: SourceKind) -> None:
    """Refuse a broken file, and one that `torch.save` wrote. The names inside the zip show which, without torch."""
    # torch.jit.save writes constants.pkl beside data.pkl, torch.save only data.pkl. A .pt2 has no fixed name in it.
    marks = {SourceKind.TORCHSCRIPT: ("constants.pkl", "TorchScript"), SourceKind.EXPORTED: ("", "an exported program")}
    if kind not in marks:
        return
    mark, what = marks[kind]
    names = _archived(path)
    if names and (not mark or mark in names):
        return
    if "data.pkl" in names:
        msg = (
            f"{str(path)!r} holds a state dict or a pickled module, which is not a network by itself; make a folder "
            f"with {CARD_FILE} that names the Python building the network as source and this file as weights"
        )
    else:
        msg = f"{str(path)!r} is not {what}, or it is damaged; save it again, preferably with torch.export.save to .pt2"
    raise UsageError(msg)


def _archived(path: Path) -> set[str]:
    """The names inside the zip at ``path``, without their common folder; empty when it is not a zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.partition("/")[2] for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile, RuntimeError, ValueError):
        return set()


def _check_weights(card: ModelCard, where: str) -> None:
    if card.weights is None or card.random_weights or card.folder is None:
        return
    where = f"weights in {where} is {card.weights!r}"
    if is_reference(card.weights):
        check_module(card.weights, card.folder, where)
    elif Path(card.weights).suffix not in (".safetensors", ".pt", ".pth"):
        msg = f"{where}; use a .safetensors or .pt file, or module:function"
        raise UsageError(msg)
    elif not (card.folder / card.weights).is_file():
        near = _similar(card.folder / card.weights, (".safetensors", ".pt", ".pth"))
        msg = f"{where}: there is no such file; {near}, or use --random-weights to measure speed only"
        raise UsageError(msg)


def _check_student(card: ModelCard, file: Path) -> None:
    if card.student is None:
        return
    where = f"student in [model] of {file} is {card.student!r}"
    if not is_reference(card.student):
        msg = f"{where}; use module:function, a function without arguments that returns an nn.Module"
        raise UsageError(msg)
    check_module(card.student, card.folder, where)
