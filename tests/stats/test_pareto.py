"""The Pareto front of (latency, accuracy)."""

from __future__ import annotations

import pytest

from harness.stats.pareto import pareto_front


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([], ()),
        ([(5.0, 0.9)], (0,)),
        ([(5.0, 0.9), (3.0, 0.8), (4.0, 0.7)], (1, 0)),
        ([(5.0, 0.9), (5.0, 0.8)], (0,)),
        ([(5.0, 0.9), (6.0, 0.9)], (0,)),
        ([(5.0, 0.9), (5.0, 0.9)], (0, 1)),
        ([(1.0, 0.5), (2.0, 0.6), (3.0, 0.7)], (0, 1, 2)),
    ],
)
def test_front(points: list[tuple[float, float]], front: tuple[int, ...]) -> None:
    assert pareto_front(points) == front
