"""The treemap of operators: areas as large as the times, inside the whole and apart from each other."""

from __future__ import annotations

import itertools

import pytest

from harness.records.operators import Operator, OperatorProfile
from harness.report.charts.figure import svg_of
from harness.report.charts.treemap import Area, operator_map, squarified


def test_the_areas_are_those_of_the_paper_on_squarified_treemaps() -> None:
    # Section 3.1 of Bruls et al.: sizes 6, 6, 4, 3, 2, 2, 1 in a rectangle of 6 × 4 begin with a column of two 3 × 2.
    areas = squarified([6, 6, 4, 3, 2, 2, 1], Area(x=0, y=0, width=6, height=4))
    assert [(a.width, a.height) for a in areas[:2]] == [(3, 2), (3, 2)]
    # Then a row of 4 and 3, 7/3 high.
    assert [a.height for a in areas[2:4]] == pytest.approx([7 / 3, 7 / 3])


@pytest.mark.parametrize("sizes", [[1.0], [5, 4, 3, 2, 1], [1e6, 1, 1, 1], [3] * 40])
def test_the_areas_fill_the_whole_and_do_not_overlap(sizes: list[float]) -> None:
    areas = squarified(sizes, Area(x=0, y=0, width=8, height=4))
    assert [a.width * a.height for a in areas] == pytest.approx([32 * size / sum(sizes) for size in sizes])
    for a, b in itertools.combinations(areas, 2):
        wide = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
        high = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
        assert min(wide, high) < 1e-9


def test_every_operator_is_named_with_its_time_and_share() -> None:
    operators = tuple(Operator(name=f"conv{i}", kind="Conv", calls=2, total_ns=4000 * (i + 1)) for i in range(4))
    figure = operator_map(OperatorProfile(source="x", calls=2, operators=operators))
    assert figure is not None
    svg = svg_of(figure).replace("\u202f", " ")
    # 16 of 40 µs in two calls.
    assert "Conv conv3: 8.00 µs, 40.0 % of all" in svg


def test_one_operator_needs_no_map() -> None:
    assert (
        operator_map(OperatorProfile(source="x", operators=(Operator(name="a", kind="A", calls=1, total_ns=1),)))
        is None
    )
    assert operator_map(None) is None
