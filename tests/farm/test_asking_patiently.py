"""Whoever waits for the depot: which errors it waits through, and what ends its waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from harness.farm.link import DepotError, ask_patiently


def failing(*errors: DepotError) -> Callable[[], str]:
    """A question that fails with each of ``errors`` in turn before it is answered."""
    left = list(errors)

    def ask() -> str:
        if left:
            raise left.pop(0)
        return "the answer"

    return ask


def test_a_depot_that_is_away_is_asked_until_it_answers() -> None:
    away, noted = DepotError("it is away"), list[DepotError]()
    assert ask_patiently(failing(away), threading.Event(), note=noted.append) == "the answer"
    assert noted == [away]


def test_nobody_waits_for_a_depot_that_refuses_this_host_for_good() -> None:
    noted: list[DepotError] = []
    with pytest.raises(DepotError, match="another version"):
        ask_patiently(failing(DepotError("another version", for_good=True)), threading.Event(), note=noted.append)
    assert noted == []


def test_an_agent_that_stops_waits_no_longer() -> None:
    stopping = threading.Event()

    def stop(_: DepotError) -> None:
        stopping.set()

    assert ask_patiently(failing(DepotError("it is away")), stopping, note=stop) is None
    assert ask_patiently(failing(), stopping, note=stop) is None
