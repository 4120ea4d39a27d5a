"""Turns the options of ``phonebench search`` into a goal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.spec.goal import (
    DEFAULT_BUDGET,
    DEFAULT_MAX_DROP,
    DEFAULT_SECONDS,
    Goal,
    Minimise,
    read_drop,
    read_minimise,
)


def make_goal(
    *,
    max_drop: str | None,
    max_group_drop: str | None,
    minimise: str | None,
    budget: int | None,
    seconds: float | None,
) -> Goal:
    """Return the goal of the options; None stands for the default. Raises `UsageError`."""
    return Goal(
        max_drop=read_drop(DEFAULT_MAX_DROP if max_drop is None else max_drop),
        minimise=read_minimise(Minimise.LATENCY if minimise is None else minimise),
        budget=DEFAULT_BUDGET if budget is None else budget,
        seconds=DEFAULT_SECONDS if seconds is None else seconds,
        max_group_drop=None if max_group_drop is None else read_drop(max_group_drop, option="max-group-drop"),
    )


def changed_goal(budget: int | None, seconds: float | None) -> Callable[[Goal], Goal]:
    """Return a function that gives a stored goal another budget; None keeps the stored value."""

    def change(goal: Goal) -> Goal:
        return replace(
            goal,
            budget=goal.budget if budget is None else budget,
            seconds=goal.seconds if seconds is None else seconds,
        )

    return change
