from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.spec.goal import Goal, Minimise, read_drop, read_minimise


@pytest.mark.parametrize(("text", "share"), [("1pp", 0.01), ("0.5 pp", 0.005), ("0pp", 0.0), ("12pp", 0.12)])
def test_drops_are_percentage_points(text: str, share: float) -> None:
    assert read_drop(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["1", "1%", "-1pp", "100pp", "pp", "", "one pp", "nanpp"])
def test_drops_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError, match="percentage points"):
        read_drop(text)


def test_an_unknown_aim_names_the_nearest() -> None:
    assert read_minimise("size") is Minimise.SIZE
    with pytest.raises(UsageError, match="did you mean 'latency'"):
        read_minimise("latncy")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"budget": 0}, "budget is 0: it must be from 1"),
        ({"seconds": 0.0}, "seconds is 0: it must be greater than 0"),
        ({"seconds": float("nan")}, "seconds is nan"),
    ],
)
def test_budgets_that_cannot_be(changes: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Goal(max_drop=0.01, minimise=Minimise.SIZE, **changes)  # type: ignore[arg-type]
