"""What a signature covers, by the kind of path, and where the signature lies.

| path | covered | signature |
| --- | --- | --- |
| a file | the file, and the files of weights that it names | ``FILE.sig`` beside it |
| a folder | every file in it, except what Python and git keep for themselves | ``FOLDER/phonebench.sig`` |
| a run | what was measured; not the report, which can be written again at any time | ``RUN/phonebench.sig`` |
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from harness.errors import SignatureError
from harness.readers.read import read_file
from harness.wire import Format

SIGNATURE_SUFFIX = ".sig"
SIGNATURE_FILE = "phonebench.sig"
# In a bundle, the name of the only file of a signed file.
ITSELF = "."
# Compiled modules are made by Python on its own. `harness.signing.require` keeps Python from reading them.
IGNORED_FOLDERS = frozenset({"__pycache__", ".git", ".ipynb_checkpoints"})
RUN_MARK = "run.json"
RUN_FILES = (RUN_MARK, "measurements.jsonl", "ab.json", "ship.toml", "statement.json", "sbom.cdx.json")
RUN_FOLDERS = ("replies", "graphs")
MOST_FILES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The files that the signature of a path covers: ``names`` below ``root``, as POSIX paths."""

    root: Path
    names: tuple[str, ...]


def signature_of(path: Path) -> Path:
    """Return where the signature of ``path`` is or would be."""
    return path / SIGNATURE_FILE if path.is_dir() else path.with_name(path.name + SIGNATURE_SUFFIX)


def cover(path: Path) -> Coverage:
    """Return what a new signature of ``path`` covers. Raises `SignatureError` for links and for files that are gone."""
    if path.is_dir():
        return Coverage(root=path, names=folder_names(path))
    if not path.is_file():
        msg = f"there is no file or folder {str(path)!r} to sign; check the path"
        raise SignatureError(msg)
    companions = _companions(path)
    names = (path.name, *companions) if companions else (ITSELF,)
    return Coverage(root=path.parent if companions else path, names=names)


def folder_names(folder: Path) -> tuple[str, ...]:
    """Return the names of the covered files below ``folder``, sorted."""
    if (folder / RUN_MARK).is_file():
        names = [name for name in RUN_FILES if os.path.lexists(folder / name)]
        for sub in RUN_FOLDERS:
            if (folder / sub).is_symlink():
                check_coverable(folder / sub)
            names += [f"{sub}/{name}" for name in _walk(folder / sub)] if (folder / sub).is_dir() else []
    else:
        names = [name for name in _walk(folder) if name != SIGNATURE_FILE]
    if len(names) > MOST_FILES:
        msg = f"{str(folder)!r} has more than {MOST_FILES} files; is it the folder that you meant?"
        raise SignatureError(msg)
    for name in names:
        check_coverable(folder / name)
    return tuple(sorted(names))


def is_ignored(path: PurePath) -> bool:
    """Return whether signatures of a folder leave out what lies at ``path`` in it."""
    return not IGNORED_FOLDERS.isdisjoint(path.parts)


def check_coverable(path: Path) -> None:
    """Raise `SignatureError` for what no signature covers, by what it is or by its name.

    A link can come to name another file without any signed byte changing; a pipe, a socket and a device have no bytes.
    """
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        msg = f"{str(path)!r} cannot be read ({error.strerror}); check its rights, and those of its folder"
        raise SignatureError(msg) from error
    if stat.S_ISLNK(mode):
        msg = f"{str(path)!r} is a symbolic link, which cannot be signed: put the file itself there"
        raise SignatureError(msg)
    if not stat.S_ISREG(mode):
        msg = f"{str(path)!r} is neither a file nor a folder, so it cannot be signed: remove it"
        raise SignatureError(msg)
    try:
        path.name.encode()
    except UnicodeEncodeError:
        msg = f"the name of {str(path)!r} is not UTF-8, so it cannot be signed: rename it"
        raise SignatureError(msg) from None


def _companions(path: Path) -> tuple[str, ...]:
    """Return the names of the files with weights beside ``path``; only ONNX keeps weights in other files."""
    facts = read_file(path, Format.ONNX) if path.suffix.lower() == ".onnx" else None
    return facts.companions if facts is not None else ()


def _walk(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder, onerror=_refuse_unread):
        linked = next((name for name in folders if Path(parent, name).is_symlink()), None)
        if linked is not None:
            check_coverable(Path(parent, linked))
        folders[:] = [name for name in folders if name not in IGNORED_FOLDERS]
        for name in files:
            yield Path(parent, name).relative_to(folder).as_posix()


def _refuse_unread(error: OSError) -> None:
    """Who cannot list a folder may still read the files in it."""
    what = f"the folder {error.filename!r} cannot be read ({error.strerror})"
    msg = f"{what}, so its files can be neither signed nor verified: make it readable, or remove it"
    raise SignatureError(msg) from error
