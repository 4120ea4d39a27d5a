"""The spec file of a point, with which ``phonebench run --spec`` builds the same artifact again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.search.points import Point
from harness.spec.shorthand import recipe_values
from harness.spec.spec import Spec

SHIP_FILE = "ship.toml"


def ship_spec(spec: Spec, point: Point) -> str:
    """Return the TOML text of a spec that has only the cell of ``point``."""
    import tomli_w

    cell = point.cell
    values: dict[str, Any] = {
        "model": [_anywhere(model) for model in spec.model],
        "device": [cell.device],
        "format": [cell.format.value],
        "variant": [point.recipe.name],
        "delegate": [cell.delegate.value],
        "threads": [cell.threads],
        "profile": cell.profile.value,
        "random_weights": spec.random_weights,
        "input": list(spec.input),
        "seed": spec.seed,
    }
    if spec.data is not None:
        values["data"] = _anywhere(spec.data)
    return tomli_w.dumps({**values, "recipe": [recipe_values(point.recipe)]})


def _anywhere(reference: str) -> str:
    """An absolute path, so that the spec works in any folder; bundled names and Python references stay unchanged."""
    path = Path(reference).expanduser()
    looks_like_a_path = "/" in reference or path.suffix != ""
    return str(path.resolve()) if looks_like_a_path and path.exists() else reference
