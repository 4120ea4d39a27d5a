"""Reads the stored tensors of a ``.ptl`` file, which says nothing about its inputs and outputs.

The archive's pickles name every tensor with its type and its number of elements. They are unpickled with stand-ins for
all classes, so no code of the file runs.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

from harness.readers.archive import read_members
from harness.readers.facts import FileFacts

# The types of PyTorch's storages. Quantised ones hold plain integers with a scale.
STORAGES = {
    "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16", "DoubleStorage": "float64",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "QInt8Storage": "int8", "QUInt8Storage": "uint8",
    "QInt32Storage": "int32",
}  # fmt: skip


# Attributes, and the constants of frozen modules. Further pickles have code, and the inputs of a traced module.
_PICKLES = ("/data.pkl", "/constants.pkl")


def read_ptl(path: Path) -> FileFacts:
    """Return the weights by type. Raises `ValueError` if the file does not parse, `OSError` if it cannot be read."""
    storages: dict[str, tuple[str, int]] = {}
    try:
        for member, data in read_members(path, lambda name: name.endswith(_PICKLES)).items():
            _Storages(data, member, storages).load()
    except OSError:
        raise
    # A damaged pickle raises whatever its next instruction does, a MemoryError too.
    except Exception as error:
        msg = f"it is not a TorchScript archive, or it is damaged: {error}"
        raise ValueError(msg) from error
    weights: dict[str, int] = {}
    for kind, count in storages.values():
        weights[kind] = weights.get(kind, 0) + count
    return FileFacts(inputs=None, outputs=None, weights=weights)


class _Anything:
    """Takes the place of every class and function that a pickle names."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Forget the state."""


class _Storages(pickle.Unpickler):
    """Collects type and size of the storages that the pickle ``member`` of an archive refers to."""

    def __init__(self, data: bytes, member: str, storages: dict[str, tuple[str, int]]) -> None:
        super().__init__(io.BytesIO(data))
        self._member, self._storages = member, storages

    def find_class(self, module: str, name: str) -> Any:  # noqa: ARG002
        """Return the name of a storage's type, and a stand-in for anything else."""
        return STORAGES.get(name, name) if name.endswith("Storage") else _Anything

    def persistent_load(self, pid: Any) -> Any:
        """Note the storage, a tuple of the word storage, its type, its name, its device, and its number of elements."""
        _, kind, name, _, count = pid[:5]
        self._storages[f"{self._member} {name}"] = (str(kind), int(count))
        return None
