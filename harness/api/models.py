"""A model made from a module in memory, for scripts and notebooks.

The module is exported once and written, with its data, into a folder like one that a user writes by hand. So worker
processes can load it, and a run of it can be resumed or repeated by the command line.
"""

from __future__ import annotations

import copy
import hashlib
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tomli_w

from harness.errors import BuildError, UsageError
from harness.model.card import CARD_FILE, Task
from harness.model.element_types import element_type
from harness.model.read_card import MODEL_NAME
from harness.model.splits import Split
from harness.model.user_code import need_torch, running
from harness.system.files import storage_errors
from harness.system.packages import hidden

if TYPE_CHECKING:
    import torch

NETWORK_FILE, DATA_FILE = "network.pt2", "data.npz"

# The inputs of a split: one array, or one by input name. With or without labels beside it.
SplitData = Any


class Model:
    """A model folder. `from_torch` makes one; `harness.run` and every command take its ``folder``."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def __repr__(self) -> str:
        return f"Model({str(self.folder)!r})"

    @classmethod
    def from_torch(
        cls,
        module: torch.nn.Module,
        inputs: torch.Tensor | Sequence[torch.Tensor],
        data: SplitData | Mapping[str, SplitData] | None = None,
        *,
        name: str | None = None,
        task: str | None = None,
        metric: str | None = None,
        folder: str | Path | None = None,
    ) -> Model:
        """Write ``module`` and ``data`` into a model folder and return it. The module itself is not changed.

        ``inputs`` are the tensors of one call, batch included. ``data`` is ``(inputs, labels)`` or inputs alone, in the
        shape ``(count, *shape of the input)``; a fifth of it, at most 100, calibrates and the rest tests. A dict of
        such pairs by ``"calibration"``, ``"test"`` and ``"train"`` chooses the splits. Several inputs are a dict of
        arrays by the name of the argument of ``forward``.

        ``task`` is that of a model card, by default ``classification`` where there are labels and no ``metric``, which
        is the name of a ready metric. ``folder`` is where the folder is made; by default it is in the user's data
        folder, named after a digest of its content, so that an unchanged module is the same model.

        Raises `BuildError` if the module cannot be exported, `UsageError` for data or names that do not fit.
        """
        need_torch("Model.from_torch")
        name = _checked(name or _snake(type(module).__name__))
        with _beside_tensorflow():
            program = _exported(module, inputs)
            arrays = _arrays(data, name) if data is not None else {}
            card = _card(name, task, metric, arrays)
            target = Path(folder) if folder else _home() / f"{name}-{_digest(program, arrays, card)[:16]}"
            if not (folder is None and (target / CARD_FILE).is_file()):
                _write(target, program, arrays, card)
        return cls(target)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _checked(name: str) -> str:
    if not MODEL_NAME.fullmatch(name):
        msg = f"name is {name!r}: use letters, digits, '_', '.' and '-', beginning with a letter or a digit"
        raise UsageError(msg)
    return name


def _home() -> Path:
    from platformdirs import user_data_path

    return user_data_path("phonebench") / "models"


def _exported(module: torch.nn.Module, inputs: torch.Tensor | Sequence[torch.Tensor]) -> torch.export.ExportedProgram:
    import torch

    if not isinstance(module, torch.nn.Module):
        what = f"the class {module.__name__}" if isinstance(module, type) else type(module).__name__
        msg = f"module is {what}: give an instance of torch.nn.Module"
        raise UsageError(msg)
    # A sequence alone is unpacked: the keys of a dict are no tensors, and a number has nothing to unpack.
    examples = tuple(inputs) if isinstance(inputs, list | tuple) else (inputs,)
    if not examples or not all(isinstance(example, torch.Tensor) for example in examples):
        kinds = ", ".join(type(example).__name__ for example in examples) or "nothing"
        msg = f"inputs is {kinds}: give the tensors of one call, in the order of forward"
        raise UsageError(msg)
    if any(tensor.is_meta for tensor in (*examples, *module.parameters(), *module.buffers())):
        msg = "module or inputs are on the device meta, where tensors have no values: load the weights first"
        raise UsageError(msg)
    for number, example in enumerate(examples):
        _refuse_odd(example, f"input {number}")
    # A copy: the caller may go on training, on another device.
    network = copy.deepcopy(module).cpu().eval()
    on_cpu = tuple(example.detach().cpu() for example in examples)
    hint = "; torch.export must be able to capture forward, see docs/models.md"
    with running(f"exporting {type(module).__name__}", raises=BuildError, folder=None, hint=hint), torch.no_grad():
        return torch.export.export(network, on_cpu)


def _beside_tensorflow() -> AbstractContextManager[None]:
    """Keep torch from loading triton, which crashes after TensorFlow and which no export needs."""
    return hidden("triton") if "tensorflow" in sys.modules else nullcontext()


def _refuse_odd(tensor: torch.Tensor, what: str) -> None:
    """Raise `UsageError` or `BuildError` for a tensor that no runner takes; ``torch.export`` takes most of them."""
    import torch

    if tensor.layout is not torch.strided:
        msg = f"{what} is {str(tensor.layout).removeprefix('torch.')}: the runners take dense tensors; give to_dense()"
        raise UsageError(msg)
    element_type(str(tensor.dtype).removeprefix("torch."), what)
    if not tensor.numel():
        msg = f"{what} has the shape {tuple(tensor.shape)}, which holds no value: give a batch of at least one"
        raise UsageError(msg)


def _arrays(data: Any, name: str) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of ``data.npz``. One split without a name is divided when it is read."""
    splits = {split.value for split in Split}
    if isinstance(data, Mapping) and set(data) & splits:
        if unknown := sorted(set(data) - splits):
            msg = f"data of {name!r} has a split {unknown[0]!r}: the splits are {', '.join(sorted(splits))}"
            raise UsageError(msg)
        return {f"{split}_{key}": array for split, part in data.items() for key, array in _part(part).items()}
    return _part(data)


def _part(part: Any) -> dict[str, np.ndarray[Any, Any]]:
    inputs, labels = part if isinstance(part, tuple) and len(part) == 2 else (part, None)  # noqa: PLR2004
    named = inputs if isinstance(inputs, Mapping) else {"inputs": inputs}
    arrays = {str(key): _array(value) for key, value in named.items()}
    arrays = arrays if labels is None else {**arrays, "labels": _array(labels)}
    counts = {key: len(array) if array.ndim else 0 for key, array in arrays.items()}
    if len(set(counts.values())) > 1 or not all(counts.values()):
        words = ", ".join(f"{count} rows of {key}" for key, count in counts.items())
        msg = f"data has {words}: give one row per call in each array"
        raise UsageError(msg)
    return arrays


def _array(values: Any) -> np.ndarray[Any, Any]:
    import torch

    try:
        array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    except ValueError as error:
        msg = f"data has rows of different lengths ({error}): give arrays of numbers, one row per call"
        raise UsageError(msg) from error
    if array.dtype == object:
        msg = "data holds Python objects: give arrays of numbers, one row per call"
        raise UsageError(msg)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _card(
    name: str, task: str | None, metric: str | None, arrays: Mapping[str, np.ndarray[Any, Any]]
) -> dict[str, Any]:
    labelled = any(key == "labels" or key.endswith("_labels") for key in arrays)
    chosen = task or (Task.CLASSIFICATION.value if labelled and metric is None else Task.OTHER.value)
    model = {"name": name, "task": chosen, "source": NETWORK_FILE}
    card: dict[str, Any] = {"model": model if metric is None else {**model, "metric": metric}}
    return card if not arrays else {**card, "data": {"source": DATA_FILE}}


def _digest(
    program: torch.export.ExportedProgram, arrays: Mapping[str, np.ndarray[Any, Any]], card: Mapping[str, Any]
) -> str:
    import torch

    digest = hashlib.sha256()
    digest.update(f"{torch.__version__}\n{program.graph_module.code}\n{program.graph_signature}\n".encode())
    digest.update(tomli_w.dumps(card).encode())
    # The graph of a convolution is the same for pictures of any size.
    for example in program.example_inputs[0] if program.example_inputs else ():
        digest.update(f"{example.dtype} {tuple(example.shape)}\n".encode())
    # The graph may hold constants beside the weights: positions, masks, tables.
    tensors = {**program.state_dict, **program.constants}
    for key, tensor in sorted(tensors.items()):
        value = tensor.detach().cpu().contiguous().numpy() if isinstance(tensor, torch.Tensor) else np.array(0)
        _add(digest, key, value)
    for key, array in sorted(arrays.items()):
        _add(digest, key, array)
    return digest.hexdigest()


def _add(digest: Any, key: str, array: np.ndarray[Any, Any]) -> None:
    digest.update(f"{key} {array.dtype} {array.shape}\n".encode())
    digest.update(np.ascontiguousarray(array).tobytes())


def _write(
    target: Path,
    program: torch.export.ExportedProgram,
    arrays: Mapping[str, np.ndarray[Any, Any]],
    card: Mapping[str, Any],
) -> None:
    """Write the folder completely or not at all: the card, which makes it a model, comes last."""
    import torch

    with storage_errors(target):
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".part-") as part:
            torch.export.save(program, Path(part) / NETWORK_FILE)
            if arrays:
                np.savez(Path(part) / DATA_FILE, **dict(arrays))  # type: ignore[arg-type]
            (Path(part) / CARD_FILE).write_text(tomli_w.dumps(dict(card)), encoding="utf-8")
            for name in (NETWORK_FILE, *([DATA_FILE] if arrays else []), CARD_FILE):
                (Path(part) / name).replace(target / name)
