"""Turns a name, a path or a reference from the command line into a model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import harness
from harness.errors import UnknownNameError, UsageError
from harness.model.card import CARD_FILE, KINDS, ModelCard, ModelOptions, is_saved_model
from harness.model.distinct import refuse_copies, with_distinct_names
from harness.model.language import CONFIG_FILE, GENAI_FILE, is_genai_folder, is_language_folder
from harness.model.read_card import read_card, read_factory, read_file
from harness.model.read_parts import part_of
from harness.model.user_code import is_reference
from harness.system.paths import path_problem, shortened


def bundled_models() -> tuple[str, ...]:
    """Return the names of the models that ship with phonebench, sorted."""
    return tuple(sorted(file.parent.name for file in _bundled_folder().glob(f"*/{CARD_FILE}")))


def is_bundled(card: ModelCard) -> bool:
    """Return whether ``card`` is that of a model that ships with phonebench."""
    return card.folder is not None and card.folder.parent == _bundled_folder() and card.folder.name in bundled_models()


def resolve(reference: str, options: ModelOptions) -> ModelCard:
    """Return the card of ``reference``. Nothing is imported or loaded.

    ``reference`` is tried as a bundled name, a folder with ``model.toml``, a SavedModel or a language model, a model
    file, and ``package.module:factory``, in this order. So ``digits`` is the bundled model and ``./digits`` a folder.
    ``MODEL#part`` is one part of a composed model. Raises `UsageError`, which names the file and the
    problem, and `UnknownNameError` if the reference matches nothing.
    """
    for text in (reference, options.data or ""):
        if problem := path_problem(text):
            msg = f"cannot use the path {shortened(text)!r}: {problem}"
            raise UsageError(msg)
    whole, mark, part = reference.rpartition("#")
    if mark and whole and not Path(reference).expanduser().exists():
        return part_of(resolve(whole, options), part)
    if reference in bundled_models():
        return read_card(_bundled_folder() / reference, options)
    path = Path(reference).expanduser()
    if reference and path.is_dir():
        return read_file(path, options) if _is_one_model(path) else read_card(path, options)
    if path.name == CARD_FILE and path.is_file():
        return read_card(path.parent, options)
    if path.name in (CONFIG_FILE, GENAI_FILE) and path.is_file() and _is_one_model(path.parent):
        return read_file(path.parent, options)
    if path.is_file():
        return read_file(path, options)
    if is_reference(reference):
        return read_factory(reference, options)
    if path.suffix.lower() in KINDS or reference.startswith((".", "~")) or "/" in reference or "\\" in reference:
        msg = f"there is no model file or folder {reference!r}; check the path"
        raise UsageError(msg)
    raise UnknownNameError(reference, kind="model", allowed=bundled_models())


def resolve_all(references: Sequence[str], options: ModelOptions) -> tuple[ModelCard, ...]:
    """Return the cards of ``references``, with equal names made different. A bundled model keeps its name.

    Raises as `resolve` does, and `UsageError` if a model is given twice.
    """
    cards = tuple(resolve(reference, options) for reference in references)
    refuse_copies(cards)
    return with_distinct_names(cards, [card for card in cards if card.folder == _bundled_folder() / card.name])


def _is_one_model(path: Path) -> bool:
    """Whether a folder is a model by itself, in the layout of another program; one with a card is read by its card."""
    if is_saved_model(path):
        return True
    return not (path / CARD_FILE).is_file() and (is_language_folder(path) or is_genai_folder(path))


def _bundled_folder() -> Path:
    """The models lie inside an installed package, and beside the package in a checkout."""
    package = Path(harness.__file__).resolve().parent
    installed = package / "bundled_models"
    return installed if installed.is_dir() else package.parent / "models"
