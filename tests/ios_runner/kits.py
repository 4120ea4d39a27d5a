"""Builds the kits of ExecuTorch and PyTorch for Linux, on the libraries of the Python packages that are installed here.

On iOS they are built on the frameworks for iOS. ExecuTorch's Python package exports its C++ classes, but not for this
purpose: it wants Python's own library, and its headers come from the package for iOS.
"""

from __future__ import annotations

import importlib.util
import shutil
import sysconfig
from importlib.metadata import version
from pathlib import Path

from harness.runners.ios.libraries import Target, fetch_libraries
from tests.ios_runner.swift import LIBRARIES, ROOT, RUNNER, building, in_toolchain

_LINUX = LIBRARIES / "linux"


def missing_for_kits() -> str:
    """Return why the kits cannot be built here, or an empty text."""
    for name in ("torch", "executorch"):
        if _package(name) is None:
            return f"{name} is not installed below {str(ROOT)!r}, which is all that the Swift toolchain sees"
    return "" if _python().is_file() else f"Python here has no library of its own ({_python()})"


def build_torch_kit() -> Path:
    """Build PyTorch's kit if it is older than its source."""
    folder = _installed("torch")
    flags = ["-std=c++17", f"-I{folder}/include", f"-I{folder}/include/torch/csrc/api/include"]
    links = [f"-L{folder}/lib", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{folder}/lib"]
    return _built("TorchKit/torch.cpp", "libtorch_kit.so", flags, links)


def build_executorch_kit() -> Path:
    """Build ExecuTorch's kit if it is older than its source."""
    fetch_libraries(LIBRARIES, Target.LINUX)
    folder, torch = _installed("executorch"), _installed("torch")
    (library,) = (folder / "extension/pybindings").glob("_portable_lib.*.so")
    headers = LIBRARIES / "executorch/include"
    flags = ["-std=c++20", f"-I{headers}", f"-I{headers}/pthreadpool", "-DPB_EXECUTORCH_HIDES_BACKENDS"]
    flags += [f'-DPB_EXECUTORCH_VERSION="{version("executorch")}"']
    python = RUNNER / ".build" / _python().name
    python.parent.mkdir(exist_ok=True)
    shutil.copy(_python(), python)
    quantised = folder / "backends/qualcomm"
    links = [f"-L{library.parent}", f"-l:{library.name}", f"-L{quantised}", "-lqnn_executorch_backend"]
    links += [f"-L{python.parent}", f"-l:{python.name}", "-Wl,--unresolved-symbols=ignore-all"]
    links += [f"-Wl,-rpath,{library.parent}:{quantised}:{torch}/lib:{_python().parent}"]
    return _built("ExecuTorchKit/executorch.cpp", "libexecutorch_kit.so", flags, links)


def _built(source: str, name: str, flags: list[str], links: list[str]) -> Path:
    path, target = RUNNER / "Kits" / source, _LINUX / name
    table = RUNNER / "Sources/CKit/include"
    _LINUX.mkdir(parents=True, exist_ok=True)
    with building():
        newest = max(file.stat().st_mtime for file in (path, table / "kit.h"))
        if not target.is_file() or target.stat().st_mtime < newest:
            shape = ["-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-w", f"-I{table}"]
            done = in_toolchain("clang++", *shape, *flags, str(path), *links, "-o", str(target))
            assert done.returncode == 0, done.stdout
    return target


def _installed(name: str) -> Path:
    folder = _package(name)
    assert folder is not None
    return folder


def _package(name: str) -> Path | None:
    """The folder of an installed package, if the toolchain can see it."""
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places and Path(places[0]).is_relative_to(ROOT) else None


def _python() -> Path:
    names = sysconfig.get_config_vars("LIBDIR", "INSTSONAME")
    return Path(str(names[0])) / str(names[1])
