"""The other side of ``make benchmark ARGS=changes``: labelled series, and what Apache Otava reports of them each night.

It runs in an environment of its own, without phonebench, and prints JSON: Otava pins versions of numpy and scipy that
phonebench cannot use.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from otava.analysis import compute_change_points
from otava_test_data import step_function
from otava_test_data.web.main import GENERATORS

NIGHTS, FIRST_NIGHT = 120, 20
# The default of Otava's command line, and a stricter value, with which it reports less that is not there.
P_VALUES = (0.001, 0.0001)
# From one night to the next the index of a change moves by some nights; it is the same change.
SAME_CHANGE = 5
# One more pattern from the package's own function: the step that both are asked about most.
EXTRA = "step_10_percent"


def make(name: str, seed: int) -> Any:
    """One series of a pattern with the package's own defaults, apart from its length."""
    if name == EXTRA:
        return step_function(length=NIGHTS, value_before=100.0, value_after=110.0, sigma=3.0, seed=seed)
    row = GENERATORS[name]
    defaults = {key: parameter["default"] for key, parameter in row["params"].items()}
    return row["func"](length=NIGHTS, seed=seed, **defaults)


def alarms(values: list[float], p_value: float) -> list[tuple[int, int]]:
    """The changes that Otava reports, each with the night on which it first does: [(index, night), …]."""
    reported: list[tuple[int, int]] = []
    for night in range(FIRST_NIGHT - 1, len(values)):
        points, _ = compute_change_points(values[: night + 1], max_pvalue=p_value)
        for point in points:
            if all(abs(point.index - index) > SAME_CHANGE for index, _ in reported):
                reported.append((int(point.index), night))
    return reported


def main() -> None:
    """Print every series with its labels and its alarms. The argument is the number of seeds."""
    series = []
    for name in (*GENERATORS, EXTRA):
        for seed in range(int(sys.argv[1])):
            drawn = make(name, seed)
            values = [float(value) for value in drawn.data]
            series.append(
                {
                    "pattern": name,
                    "values": values,
                    "labels": [[int(point.index), point.change_type] for point in drawn.change_points],
                    "alarms": {str(p_value): alarms(values, p_value) for p_value in P_VALUES},
                }
            )
    json.dump(series, sys.stdout)


if __name__ == "__main__":
    main()
