"""The Pareto front: what cannot be had faster without giving up accuracy, nor more accurate without giving up speed."""

from __future__ import annotations

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """Return the indices of the (latency, accuracy) ``points`` that no other point beats, fastest first.

    A point is beaten by one that is no slower and no less accurate, and better in one of the two; of equal points all
    stay.
    """
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
