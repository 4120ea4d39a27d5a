"""Turns the options of ``phonebench search`` into a goal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.spec.goal import (
    DEFAULT_BUDGET,
    DEFAULT_MAX_DROP,
    DEFAULT_SECONDS,
    Goal,
    Minimise,
    read_drop,
    read_minimise,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalOptions:
    """The options of a search that make its goal; None stands for the default."""

    max_drop: str | None = None
    max_group_drop: str | None = None
    minimise: str | None = None
    budget: int | None = None
    seconds: float | None = None


def make_goal(options: GoalOptions) -> Goal:
    """Return the goal of ``options``. Raises `UsageError`."""
    max_drop, minimise, budget, seconds = options.max_drop, options.minimise, options.budget, options.seconds
    group = options.max_group_drop
    return Goal(
        max_drop=read_drop(DEFAULT_MAX_DROP if max_drop is None else max_drop),
        minimise=read_minimise(Minimise.LATENCY if minimise is None else minimise),
        budget=DEFAULT_BUDGET if budget is None else budget,
        seconds=DEFAULT_SECONDS if seconds is None else seconds,
        max_group_drop=None if group is None else read_drop(group, option="max-group-drop"),
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
