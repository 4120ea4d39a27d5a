"""Comparisons of stored runs: cell by cell, only like with like, every verdict from an interval or a stated tolerance.

`compare_runs` is the way in. ``keys`` says what must agree before two figures are held against each other, ``metrics``
holds one rule a metric, ``words`` says it to people.
"""

from harness.compare.keys import KeyDifference, comparison_keys, differing_keys
from harness.compare.metrics import Margins, MetricComparison
from harness.compare.runs import CellComparison, Comparison, compare_runs

__all__ = [
    "CellComparison",
    "Comparison",
    "KeyDifference",
    "Margins",
    "MetricComparison",
    "compare_runs",
    "comparison_keys",
    "differing_keys",
]
