"""LiteRT runs ``.tflite``: the interpreter for ``cpu`` and ``xnnpack``, a compiled model for ``gpu``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.runners.host.runtimes import tflite, tflite_gpu, tflite_profile
from harness.runners.host.runtimes.session import Profiled, Session
from harness.wire import Delegate, RuntimeRequest
from harness.wire.tensors import Array

SECOND_ENGINES = tflite.SECOND_ENGINES


def import_runtime(request: RuntimeRequest) -> None:
    """Import LiteRT, which has no settings for the whole process."""
    tflite.import_runtime(request)


def load(path: Path, request: RuntimeRequest) -> Session:
    """Load the file for its delegate. Raises `SessionError`."""
    if request.delegate is Delegate.GPU:
        return tflite_gpu.load(path, request)
    return tflite.load(path, request)


def profile(path: Path, request: RuntimeRequest, arrays: Sequence[Array], calls: int) -> Profiled:
    """Time the operators, or list them where LiteRT cannot time them. Raises `SessionError`."""
    if request.delegate is Delegate.GPU:
        return tflite_gpu.profile(path, request)
    return tflite_profile.profile(path, request, arrays, calls)
