"""ONNX files whose weights lie in a second file: protobuf cannot hold 2 GB.

The second file has the name of the first with ``.data`` after it, in the same folder, as onnxruntime looks for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Protobuf's limit is 2 GiB for everything; the rest is for the graph around the weights.
EXTERNAL_BYTES = 1_900_000_000
# Smaller tensors stay in the graph: onnxruntime reads shapes and axes there before it opens the second file.
SMALL_BYTES = 1024


def weight_bytes(model: Any) -> int:
    """Return the bytes of the weights in ``model``, which protobuf itself cannot count past its limit."""
    return sum(tensor.ByteSize() for tensor in model.graph.initializer)


def save(model: Any, path: Path, *, limit: int) -> None:
    """Write ``model`` to ``path``, its weights to a second file when they have more than ``limit`` bytes."""
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
    # Saving has emptied the model, which other variants are derived from.
    onnx.load_external_data_for_model(model, str(path.parent))


def split(path: Path, *, limit: int) -> None:
    """Take the weights out of the file at ``path`` when it has more than ``limit`` bytes."""
    import onnx

    if path.stat().st_size <= limit or Path(f"{path}.data").exists():
        return
    model = onnx.load(str(path))
    path.unlink()
    save(model, path, limit=limit)
