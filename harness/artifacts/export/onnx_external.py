"""ONNX files with their weights in a second file, because protobuf cannot hold 2 GB.

The second file is in the same folder and has the name of the first plus ``.data``, where ONNX Runtime looks for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Protobuf's limit is 2 GiB in total; the difference is for the graph around the weights.
EXTERNAL_BYTES = 1_900_000_000
# Smaller tensors stay in the graph: ONNX Runtime reads shapes and axes there before it opens the second file.
SMALL_BYTES = 1024


def weight_bytes(model: Any) -> int:
    """Return the bytes of the weights in ``model``. Protobuf itself cannot count them beyond its limit."""
    return sum(tensor.ByteSize() for tensor in model.graph.initializer)


def save(model: Any, path: Path, *, limit: int) -> None:
    """Write ``model`` to ``path``, with its weights in a second file if they have more than ``limit`` bytes."""
    import onnx

    if weight_bytes(model) <= limit:
        onnx.save(model, str(path))
        return
    onnx.save(
        model,
        str(path),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=f"{path.name}.data",
        size_threshold=SMALL_BYTES,
    )
    # Saving removed the weights from the model, which other variants are still derived from.
    onnx.load_external_data_for_model(model, str(path.parent))


def split(path: Path, *, limit: int) -> None:
    """Move the weights of the file at ``path`` to a second file if it has more than ``limit`` bytes."""
    import onnx

    if path.stat().st_size <= limit or Path(f"{path}.data").exists():
        return
    model = onnx.load(str(path))
    path.unlink()
    save(model, path, limit=limit)
