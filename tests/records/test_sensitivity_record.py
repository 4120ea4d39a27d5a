from __future__ import annotations

from dataclasses import replace

import pytest

from harness.errors import UsageError
from harness.records.sensitivity import Scan, ScannedUnit, check_inputs, kept_layers
from harness.spec.recipe import KeepFloat

LAYERS = tuple(f"block.{i}" for i in range(30))


def unit(*layers: str, sqnr_db: float) -> ScannedUnit:
    return ScannedUnit(name=layers[0], layers=layers, kind="Conv2d", parameters=9, sqnr_db=sqnr_db, agreement=1.0)


BLANK = Scan(
    key="k",
    model="m",
    inputs=4,
    random_inputs=False,
    units=(),
    kept_sqnr_db=(),
    int8_agreement=1.0,
    seconds=0.0,
)


def scan_of(*units: ScannedUnit, kept: tuple[float, ...] = ()) -> Scan:
    curve = kept or (*range(len(units)), 200.0)
    return replace(BLANK, units=units, kept_sqnr_db=curve)


THIRTY = scan_of(*(unit(layer, sqnr_db=10.0 + i) for i, layer in enumerate(LAYERS)))


@pytest.mark.parametrize(
    ("keep", "count"),
    [
        (KeepFloat(share=0.1), 3),
        (KeepFloat(share=0.3), 9),
        (KeepFloat(share=0.01), 1),
        (KeepFloat(count=5), 5),
        (KeepFloat(sqnr_db=0.0), 0),
        (KeepFloat(sqnr_db=6.5), 7),
    ],
)
def test_the_most_sensitive_layers_are_kept(keep: KeepFloat, count: int) -> None:
    assert kept_layers(keep, THIRTY) == LAYERS[:count]


def test_layers_are_kept_by_name_or_by_the_block_they_are_in() -> None:
    assert kept_layers(KeepFloat(layers=("block.2", "block.1")), THIRTY) == ("block.2", "block.1")
    assert kept_layers(KeepFloat(layers=("block",)), THIRTY) == LAYERS


@pytest.mark.parametrize(
    ("keep", "words"),
    [
        (KeepFloat(layers=("block.99",)), "did you mean"),
        (KeepFloat(count=30), "leaves no layer in int8"),
        (KeepFloat(sqnr_db=99.0), "the best is 29.0 dB with the 29 most sensitive units"),
    ],
)
def test_impossible_requests_are_explained(keep: KeepFloat, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        kept_layers(keep, THIRTY)


def test_the_first_count_that_reaches_the_target_is_taken_although_the_curve_falls_again() -> None:
    found = scan_of(*(unit(name, sqnr_db=1.0) for name in "abc"), kept=(10.0, 19.0, 17.0, 200.0))
    assert kept_layers(KeepFloat(sqnr_db=18.0), found) == ("a",)


def test_a_block_that_does_not_fit_is_skipped_or_split() -> None:
    large, small = unit("a.0", "a.1", "a.2", sqnr_db=1.0), unit("b", sqnr_db=2.0)
    assert kept_layers(KeepFloat(count=2), scan_of(large, small)) == ("b",)
    assert kept_layers(KeepFloat(count=2), scan_of(large, unit("c.0", "c.1", "c.2", sqnr_db=3.0))) == ("a.0", "a.1")


@pytest.mark.parametrize("count", [0, -1, 1001])
def test_impossible_numbers_of_inputs(count: int) -> None:
    with pytest.raises(UsageError, match="from 1 to 1000"):
        check_inputs(count)
