"""Writes a new model folder: a card, and a network to replace where the user names none."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.model.card import CARD_FILE, KINDS, ModelCard, ModelOptions, Task
from harness.model.read_card import parse_input, read_card
from harness.model.user_code import is_reference
from harness.system.files import storage_errors

# Placeholder values of a card that the user completes; each works as it stands.
NETWORK_FILE, SOURCE = "network.py", "network:build"
DEFAULT_INPUT = "x:float32:1x3x32x32"

_NETWORK = '''\
"""The network that model.toml names. Replace it by your own."""

from torch import nn


def build():
    """Return the network with its weights; model.toml may name a file of weights instead."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel:
    """The answers that a card is written from.

    ``source`` is ``module:factory``, or a file such as ``net.pt2`` that is copied into the folder; None writes an
    example network to replace. ``inputs`` have the form of ``--input``; a file that describes its own inputs needs
    none. ``weights`` and ``data`` are what the keys of the card take; None leaves them out.
    """

    name: str
    source: str | None = None
    inputs: tuple[str, ...] = ()
    task: Task = Task.OTHER
    weights: str | None = None
    data: str | None = None
    license: str = ""


def write_folder(folder: Path, new: NewModel) -> ModelCard:
    """Write the model folder and return its card, checked as every command checks it.

    Raises `UsageError` if there is a card already or if an answer does not fit, and then leaves nothing behind;
    `StoreError` if the folder cannot be written.
    """
    card = folder / CARD_FILE
    if card.exists():
        msg = f"there is a {CARD_FILE} in {str(folder)!r} already: edit it, or name another folder"
        raise UsageError(msg)
    made: list[Path] = []
    new_folders = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            source = _place_source(folder, new, made)
            made.append(card)
            card.write_text(_card_text(folder, new, source), encoding="utf-8")
        return read_card(folder, ModelOptions())
    # Also after Ctrl-C: half a folder would be refused the next time.
    except BaseException:
        # What cannot be removed, or was never made, must not hide why the folder cannot be written.
        with suppress(OSError):
            for path in made:
                path.unlink(missing_ok=True)
            for parent in new_folders:
                parent.rmdir()
        raise


def _place_source(folder: Path, new: NewModel, made: list[Path]) -> str:
    """Write or copy what the card's ``source`` names, and return the source; new files are added to ``made``."""
    if new.source is None:
        path = folder / NETWORK_FILE
        if path.exists():
            return SOURCE
        made.append(path)
        path.write_text(_NETWORK, encoding="utf-8")
        return SOURCE
    if is_reference(new.source):
        return new.source
    file = _model_file(new.source)
    target = folder / file.name
    if target.resolve() != file.resolve():
        if target.exists():
            msg = f"there is a {file.name!r} in {str(folder)!r} already: remove it, or name another folder"
            raise UsageError(msg)
        made.append(target)
        shutil.copyfile(file, target)
    return file.name


def _model_file(source: str) -> Path:
    """The path of the model file ``source``. Raises `UsageError` if it is none, or is not there."""
    file = Path(source).expanduser()
    ending = file.suffix.lower()
    if ending not in KINDS:
        advice = f", such as {file.stem}:build" if ending == ".py" else ""
        msg = (
            f"{source!r} is neither a Python reference nor a model file: give package.module:factory{advice}, or a "
            f"file that ends in {', '.join(KINDS)}"
        )
        raise UsageError(msg)
    if not file.is_file():
        problem = (
            f"{source!r} is a folder, which is not copied" if file.is_dir() else f"there is no model file {source!r}"
        )
        msg = f"{problem}: check the path"
        raise UsageError(msg)
    return file


def _card_text(folder: Path, new: NewModel, source: str) -> str:
    """The card with a comment on each key that is left out, since a reader starts from here."""
    from tomli_w import dumps

    model = {"name": new.name, "task": new.task.value, "source": source}
    model |= {} if new.weights is None else {"weights": _beside(folder, new.weights)}
    model |= {"license": new.license} if new.license else {}
    text = dumps({"model": model})
    if new.weights is None and is_reference(source):
        text += '# weights = "weights.safetensors"   # else the network keeps the weights it is built with\n'
    inputs = new.inputs or ((DEFAULT_INPUT,) if new.source is None else ())
    for given in inputs:
        spec, limits = parse_input(given)
        table: dict[str, object] = {"name": spec.name, "dtype": spec.dtype.value, "shape": list(spec.shape)}
        if limits is not None:
            table["range"] = [limits.low, limits.high]
        text += "\n[[input]]\n" + _one_line_arrays(dumps(table))
    return text + ("\n" + dumps({"data": {"source": _beside(folder, new.data)}}) if new.data else _NO_DATA)


def _one_line_arrays(text: str) -> str:
    """Join the lines of the arrays that tomli_w spreads over several."""
    return re.sub(r",\n\]", "]", re.sub(r"(?<=[\[,])\n +", " ", text)).replace("[ ", "[")


def _beside(folder: Path, given: str) -> str:
    """The path as the card needs it, relative to its folder; a reference and what is no file stay as they are."""
    path = Path(given).expanduser()
    if is_reference(given) or path.is_absolute() or not path.exists():
        return given
    return os.path.relpath(path.resolve(), folder.resolve())


_NO_DATA = (
    "\n# Without data, accuracy is not measured and int8 is calibrated on random inputs.\n"
    "# [data]\n"
    '# source = "data.npz"   # or a folder of images, or module:function\n'
)
