"""What stated figures are, in words that importers write and exporters recognise."""

from __future__ import annotations

from collections.abc import Mapping

from harness.exchange.fields import at_least_zero, count, scaled
from harness.records.origin import StatedFigure, StatedName

MEAN_OF_CALLS = "mean of the calls"
MEAN_OF_QUERIES = "mean of the queries"
MEAN_OF_REPETITIONS = "mean of the repetitions"
# Means of everything that was timed; a trimmed mean or an estimate is something else.
MEANS = (MEAN_OF_CALLS, MEAN_OF_QUERIES, MEAN_OF_REPETITIONS)
MLPERF_SCORE = "the score of MLPerf Mobile"


def mean_of_calls(
    told: Mapping[str, object], unit: int, *, mean: str, least: str, most: str, deviation: str, calls: object
) -> tuple[StatedFigure, ...]:
    """Return the mean in ``told`` with what it says of the calls behind it, in ns; nothing without a mean.

    ``mean``, ``least``, ``most`` and ``deviation`` are keys of ``told``, whose values are times in ``unit`` ns.
    ``calls`` is the number of calls as it stands in the file.
    """
    value = scaled(told.get(mean), unit)
    if value is None:
        return ()
    return (
        StatedFigure(
            name=StatedName.LATENCY,
            value=value,
            definition=MEAN_OF_CALLS,
            least=scaled(told.get(least), unit),
            most=scaled(told.get(most), unit),
            deviation=at_least_zero(told.get(deviation), unit),
            calls=count(calls),
        ),
    )
