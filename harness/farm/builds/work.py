"""What one build takes to a build host: the model's card and files, the recipe, and what was made before.

Paths in the card become places below one folder, the same ones on every host, so the host finds the model as its owner
does. A model folder is code: whoever unpacks one here is about to run it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import msgspec

from harness.artifacts.cache import Cache
from harness.errors import SignatureError, StoreError
from harness.farm.builds.calls import EntryKind, EntryRef
from harness.farm.work import FileRef
from harness.model.card import ModelCard, SourceKind
from harness.model.source_key import source_files, source_key, source_packages
from harness.model.user_code import is_reference
from harness.plan.cells import Build
from harness.signing.coverage import SIGNATURE_SUFFIX, signature_of
from harness.spec.recipe import Recipe
from harness.system.files import file_sha256, plain_name, storage_errors

# Where the Python that lies outside of a model folder goes. It is on the path of the process that builds.
MODULES = "modules"
FOLDER = "folder"

_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """A model that travels. The paths in ``card`` are places below the folder that ``files`` are put into.

    ``key`` is its source key, and ``packages`` are the versions that count in that: both must be the same on the host.
    """

    card: ModelCard
    files: tuple[FileRef, ...]
    key: str
    packages: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildWork:
    """One build on its way. ``source`` is the digest of a `ModelSource`; without ``build`` the model is prepared.

    ``entries`` were made before and are needed.
    """

    source: str
    key: str
    build: Build | None = None
    recipe: Recipe | None = None
    entries: tuple[EntryRef, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedSource:
    """A model that travels, and where its files are here, by digest."""

    source: ModelSource
    places: dict[str, Path]


def pack_source(card: ModelCard) -> PackedSource:
    """Return what another host needs to load the model of ``card``. Raises `OSError` for a file that is gone."""
    places: dict[str, Path] = {}
    refs: dict[str, FileRef] = {}
    files = source_files(card) + (source_files(card.whole) if card.whole is not None else ())
    for name, file in files + tuple(("source", path) for path in _signatures(card)):
        place = _place(card, name, file)
        if place is not None and place not in refs:
            sha256 = file_sha256(file)
            refs[place], places[sha256] = FileRef(name=place, sha256=sha256), file
    source = ModelSource(
        card=_moved(card, lambda path: _where(card, Path(path))),
        files=tuple(refs.values()),
        key=source_key(card),
        packages=source_packages(card),
    )
    return PackedSource(source=source, places=places)


def unpack_source(source: ModelSource, root: Path) -> ModelCard:
    """Return the card of a model whose files were put below ``root``.

    Raises `StoreError` for a path that leads out of there: no signature would have been asked of what it names.
    """

    def move(place: str) -> str:
        path = (root / place).resolve()
        if not path.is_relative_to(root.resolve()):
            msg = f"a model names {place!r}, which is not below its folder, so nothing is built from it"
            raise StoreError(msg)
        return str(root / place)

    return _moved(source.card, move)


def require_signed_source(room: Path, key_file: Path) -> None:
    """Raise `SignatureError` unless the key has signed everything of a model that was put below ``room``."""
    from harness.signing.require import require_signatures

    if any((room / MODULES).rglob("*")):
        msg = (
            "the model uses Python outside of a model folder, which no signature covers: "
            "move it into the folder, and sign that"
        )
        raise SignatureError(msg)
    paths = [room / FOLDER] if (room / FOLDER).is_dir() else []
    for home in room.iterdir():
        if home.name == FOLDER and home.is_dir():
            continue
        # A file beside the folders is none of those that an owner sends, so it has to be signed like the others.
        inside = home.iterdir() if home.is_dir() else [home]
        paths += [path for path in inside if path.suffix != SIGNATURE_SUFFIX]
    require_signatures(paths, key_file)


def place_files(files: tuple[FileRef, ...], fetch: Callable[[str], Path], root: Path) -> None:
    """Put files below ``root``. Raises `StoreError` for a name that would leave it.

    They are copied: the code of a model may write beside itself, and what was fetched must stay what its name says.
    """
    for ref in files:
        name = PurePosixPath(ref.name)
        if name.is_absolute() or ".." in name.parts or not name.parts:
            msg = f"a model has the file {ref.name!r}, which is not below its folder, so nothing is built from it"
            raise StoreError(msg)
        with storage_errors(root):
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(fetch(ref.sha256), target)


def entry_of(cache: Cache, kind: EntryKind, key: str) -> tuple[EntryRef, dict[str, Path]] | None:
    """Return an entry of the cache as it travels, and where its files are; None if there is none."""
    folder = cache.folder(kind.value, key)
    if not folder.is_dir():
        return None
    digests = {file: file_sha256(file) for file in sorted(folder.iterdir())}
    refs = tuple(FileRef(name=file.name, sha256=sha256) for file, sha256 in digests.items())
    return EntryRef(kind=kind, key=key, files=refs), {sha256: file for file, sha256 in digests.items()}


def keep_entry(cache: Cache, entry: EntryRef, fetch: Callable[[str], Path]) -> None:
    """Make an entry of the cache from files that are fetched, unless it is there. Raises `StoreError`.

    What it says about its own files is checked when it is read, as for every entry.
    """
    plain_name(entry.key, "an entry of the cache has the key", "so it was not kept")
    if cache.folder(entry.kind.value, entry.key).is_dir():
        return
    with cache.lock(entry.key), cache.making(entry.kind.value, entry.key) as folder:
        place_files(entry.files, fetch, folder)


def encode(record: ModelSource | BuildWork) -> bytes:
    """Return a record as JSON, the same bytes for equal records, so that equal work has one digest."""
    return msgspec.json.encode(record, enc_hook=str, order="deterministic")


def decode(data: bytes, kind: type[_Record]) -> _Record:
    """Read a record. Raises `ValueError`. One thread only: see `harness.system.decoding`."""
    return msgspec.json.decode(data, type=kind, dec_hook=_path)


def _path(kind: type, value: Any) -> Any:
    if issubclass(kind, Path):
        return Path(value)
    msg = f"cannot read a {kind.__name__}"
    raise NotImplementedError(msg)


def _place(card: ModelCard, name: str, file: Path) -> str | None:
    """Where a file goes; None for one that every host has."""
    label, _, rest = name.partition("/")
    if label != "module":
        return _where(card, file)
    if card.folder is not None and file.is_relative_to(card.folder.resolve()):
        return None
    module = rest.split(".")
    if module[0] == "harness":
        return None
    tail = (*module, "__init__.py") if file.name == "__init__.py" else (*module[:-1], f"{module[-1]}.py")
    return "/".join((MODULES, *tail))


def _signatures(card: ModelCard) -> tuple[Path, ...]:
    """The signatures beside what a card names; that of a folder is one of its files."""
    named = [] if card.kind in _NOT_FILES else [card.source]
    if card.data is not None and card.data.source and not is_reference(card.data.source):
        named.append(card.data.source)
    if card.language is not None:
        named += [text for text in (card.language.text, card.language.choices) if text is not None]
    return tuple(path for text in named if (path := signature_of(Path(text))).is_file())


def _where(card: ModelCard, path: Path) -> str:
    """The place of a file or folder that a card names. Names are kept: some formats look for files beside theirs."""
    data = Path(card.data.source) if card.data is not None and not is_reference(card.data.source) else None
    homes = [
        (card.folder, FOLDER),
        (None if card.kind in _NOT_FILES else Path(card.source), f"source/{Path(card.source).name}"),
        (data, f"data/{data.name}" if data is not None else ""),
        (None if card.kind in _NOT_FILES else Path(card.source).parent, "source"),
    ]
    texts = (card.language.text, card.language.choices) if card.language is not None else ()
    homes = [homes[0], *((Path(text), f"text/{Path(text).name}") for text in texts if text is not None), *homes[1:]]
    homes += [(signature_of(home), f"{place}{SIGNATURE_SUFFIX}") for home, place in homes if home is not None]
    for home, place in homes:
        if home is not None and path == home:
            return place
        if home is not None and path.is_relative_to(home):
            return f"{place}/{path.relative_to(home).as_posix()}"
    return f"other/{path.name}"


# Sources that are no paths.
_NOT_FILES = (SourceKind.PYTHON, SourceKind.COMPOSED)


def _moved(card: ModelCard, move: Callable[[str], str]) -> ModelCard:
    """Return ``card`` with every path in it replaced by ``move``."""
    data, language = card.data, card.language
    if data is not None and data.source and not is_reference(data.source):
        data = replace(data, source=move(data.source))
    if language is not None:
        text = language.text and move(language.text)
        language = replace(language, text=text, choices=language.choices and move(language.choices))
    parts = (part if part.kind in _NOT_FILES else replace(part, source=move(part.source)) for part in card.parts)
    return replace(
        card,
        source=card.source if card.kind in _NOT_FILES else move(card.source),
        folder=None if card.folder is None else Path(move(str(card.folder))),
        data=data,
        language=language,
        parts=tuple(parts),
        whole=None if card.whole is None else _moved(card.whole, move),
    )
