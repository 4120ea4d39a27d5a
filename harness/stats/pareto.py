"""The Pareto front: points that no other point beats in both latency and accuracy."""

from __future__ import annotations

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """Return the indices of the (latency, accuracy) ``points`` that no other point beats, fastest first.

    A point is beaten by one that is no slower, no less accurate, and better in at least one of the two. Of equal points
    all stay.
    """
    # Fastest first, and the more accurate first among equally fast ones: then a single pass is enough.
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    front: list[int] = []
    for index in order:
        latency, accuracy = points[index]
        if front:
            last_latency, last_accuracy = points[front[-1]]
            if accuracy < last_accuracy or (accuracy == last_accuracy and latency > last_latency):
                continue
        front.append(index)
    return tuple(front)
