"""Output fidelity on rows small enough to check by hand."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from harness.stats.fidelity import MAX_SQNR_DB, compare_outputs


def test_equal_outputs_are_capped_and_fit_into_json() -> None:
    same = np.array([[1.0, 2.0], [3.0, -4.0]])
    result = compare_outputs(same, same.copy())
    assert (result.sqnr_db, result.sqnr_worst_db, result.max_error, result.agreement) == (200.0, 200.0, 0.0, 1.0)
    assert result.cosine == pytest.approx(1.0)
    json.dumps(asdict(result), allow_nan=False)


@pytest.mark.parametrize(("error", "decibels"), [(1.0, 20.0), (0.1, 40.0), (10.0, 0.0)])
def test_sqnr_is_ten_log_of_signal_over_noise_power(error: float, decibels: float) -> None:
    # Signal power 6² + 8² = 100; all noise is in one value.
    result = compare_outputs(np.array([[6.0, 8.0]]), np.array([[6.0, 8.0 + error]]))
    assert result.sqnr_db == pytest.approx(decibels)
    assert result.max_error == pytest.approx(error)


def test_sqnr_is_a_median_over_inputs_with_its_worst_percent() -> None:
    reference = np.full((101, 2), 10.0)
    outputs = reference + np.where(np.arange(101) < 2, 10.0, 1.0)[:, None]
    result = compare_outputs(reference, outputs)
    assert result.sqnr_db == pytest.approx(20.0)
    assert result.sqnr_worst_db == pytest.approx(0.0, abs=1e-9)
    assert result.count == 101


def test_agreement_is_the_share_of_equal_top_answers() -> None:
    reference = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    outputs = np.array([[0.9, 0.2], [0.6, 0.4], [0.6, 0.4], [0.1, 0.8]])
    assert compare_outputs(reference, outputs).agreement == 0.75


@pytest.mark.parametrize(("columns", "classes"), [(1, True), (3, False)])
def test_agreement_is_none_without_classes(columns: int, classes: bool) -> None:
    rows = np.ones((4, columns))
    assert compare_outputs(rows, rows, classes=classes).agreement is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_counts_as_the_worst(bad: float) -> None:
    reference = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    outputs = np.array([[bad, 0.0], [0.0, 0.5], [0.0, 1.0]])
    result = compare_outputs(reference, outputs)
    assert (result.non_finite, result.max_error) == (1, 0.5)
    assert result.agreement == pytest.approx(2 / 3)
    assert result.sqnr_worst_db < -MAX_SQNR_DB + 5


def test_rows_that_are_all_not_finite_still_give_a_result() -> None:
    result = compare_outputs(np.ones((2, 3)), np.full((2, 3), np.nan))
    assert (result.sqnr_db, result.cosine, result.agreement, result.non_finite) == (-200.0, 0.0, 0.0, 2)


@pytest.mark.parametrize(
    ("reference", "outputs", "sqnr_db", "cosine"),
    [([[0.0, 0.0]], [[0.0, 0.0]], 200.0, 1.0), ([[0.0, 0.0]], [[1.0, 0.0]], -200.0, 0.0)],
)
def test_a_reference_of_zeros(
    reference: list[list[float]], outputs: list[list[float]], sqnr_db: float, cosine: float
) -> None:
    result = compare_outputs(np.array(reference), np.array(outputs))
    assert (result.sqnr_db, result.cosine) == (sqnr_db, cosine)


def test_integer_outputs_do_not_overflow() -> None:
    result = compare_outputs(np.array([[120, -120]], dtype=np.int8), np.array([[-120, 120]], dtype=np.int8))
    assert result.max_error == 240.0
    assert result.cosine == pytest.approx(-1.0)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4)), ((3,), (3,)), ((0, 3), (0, 3))])
def test_different_or_empty_shapes_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="cannot compare outputs of shapes"):
        compare_outputs(np.zeros(shapes[0]), np.zeros(shapes[1]))
