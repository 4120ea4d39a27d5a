"""The element types that a network's inputs may have."""

from __future__ import annotations

from harness.errors import BuildError
from harness.wire import DType


def element_type(kind: str, what: str) -> DType:
    """Return the type called ``kind``, such as ``float32``. Raises `BuildError` about ``what`` for any other."""
    supported = [dtype.value for dtype in DType]
    if kind not in supported:
        msg = f"{what} is {kind}; the runners support {', '.join(supported)}"
        raise BuildError(msg)
    return DType(kind)
