"""phonebench: builds optimised mobile variants of a model, measures them on devices, says which to ship.

The names below are for scripts and notebooks. They are imported when they are first used, so that ``import harness``
itself loads nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api.models import Model as Model
    from harness.api.nights import History as History
    from harness.api.nights import load_history as load_history
    from harness.api.runs import Run as Run
    from harness.api.runs import load as load
    from harness.api.runs import resume as resume
    from harness.api.runs import run as run

__version__ = "0.1.0"

_PUBLIC = {
    "History": "harness.api.nights",
    "Model": "harness.api.models",
    "Run": "harness.api.runs",
    "load": "harness.api.runs",
    "load_history": "harness.api.nights",
    "resume": "harness.api.runs",
    "run": "harness.api.runs",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
