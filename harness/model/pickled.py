"""Loads a pickled network whose classes are in a model folder.

A pickle names the private package of the folder that it was written from (`harness.model.user_code`). That name has
the folder's path and the times of its files in it, so it is unknown in a copy of the folder, in another checkout, and
after a file was touched. The cache takes all these for the same model, so the name is replaced when a pickle is read.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from harness.model.user_code import PRIVATE_NAME, private_package

if TYPE_CHECKING:
    import torch


def load_pickled(path: Path, folder: Path) -> torch.nn.Module:
    """Return the network that `torch.save` wrote to ``path``, with the Python of ``folder`` behind its classes.

    A pickle runs code: load only files that this program wrote and whose digest was checked. Raises what torch raises
    if the file is damaged or the folder lacks a class.
    """
    import torch

    network: torch.nn.Module = torch.load(
        path, map_location="cpu", weights_only=False, pickle_module=_PickleModule(private_package(folder))
    )
    return network


class _PickleModule:
    """What torch asks of its argument ``pickle_module``: a name, and an ``Unpickler`` class that it may subclass."""

    __name__ = "pickle"

    def __init__(self, package: str) -> None:
        name = package.encode()

        class Unpickler(pickle.Unpickler):
            """Reads a pickle as if it had been written from the folder of ``package``."""

            def __init__(self, file: IO[bytes], **options: Any) -> None:
                # All private names have one length, so the lengths in the pickle stay right. Replacing bytes reaches
                # the source text of traced graphs too. Tensors are in other members of the archive.
                super().__init__(io.BytesIO(PRIVATE_NAME.sub(name, file.read())), **options)

        self.Unpickler = Unpickler
