"""The choice among good files, argued case by case."""

from __future__ import annotations

import pytest

from harness.compare.choice import Candidate, preferred


def candidate(key: str, size: float, closeness_db: float | None, latency_ns: float = 1000.0) -> Candidate:
    return Candidate(key=key, bytes=size, closeness_db=closeness_db, latency_ns=latency_ns)


@pytest.mark.parametrize(
    ("candidates", "key"),
    [
        # 5 % more bytes are no larger, so the closer file; 20 % more are.
        ([candidate("small", 1000, 30), candidate("close", 1050, 39)], "close"),
        ([candidate("small", 1000, 30), candidate("close", 1200, 39)], "small"),
        # Half a decibel is no closer, and beyond 40 dB nothing is.
        ([candidate("small", 1000, 30), candidate("close", 1050, 30.5)], "small"),
        ([candidate("small", 1000, 45), candidate("close", 1050, 80)], "small"),
        # A closeness that nobody knows loses to any.
        ([candidate("unknown", 1000, None), candidate("close", 1050, 20)], "close"),
        ([candidate("slow", 1000, 30, 2000), candidate("fast", 1000, 30, 1900)], "fast"),
    ],
)
def test_the_closest_of_the_smallest_files_is_preferred(candidates: list[Candidate], key: str) -> None:
    for ordered in (candidates, candidates[::-1]):
        choice = preferred(ordered)
        assert choice is not None
        assert choice.key == key


def test_the_smallest_file_may_be_asked_for() -> None:
    choice = preferred([candidate("close", 1050, 39), candidate("small", 1000, 30)], size_class=1.0)
    assert choice is not None
    assert choice.key == "small"


def test_there_is_no_choice_among_no_files() -> None:
    assert preferred([]) is None
