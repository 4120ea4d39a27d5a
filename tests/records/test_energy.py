"""Energy per inference: from the power readings of a reply, only where there are enough, and shown with its reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from harness.records.energy import energy_summary, joules_of_launch
from harness.records.measurement import CellStatus, EnergySummary
from harness.records.metrics import ENERGY
from harness.report.cell_json import cell_json
from harness.report.columns import figure_columns
from harness.report.view import CellView
from harness.stats.energy import call_energy
from harness.wire import DeviceStates, LatencySamples, ReplyStatus, RunnerInfo, RunReply, StateSample
from tests.report.builders import cells, measurement

S = 1_000_000_000
MS = 1_000_000


def reply(watts: list[float], *, calls: int = 2000, call_ns: int = 10 * MS, sensor: bool = True) -> RunReply:
    """A launch whose measured calls begin at second 100; a reading follows each second, and one comes before."""
    series = tuple(StateSample(at_ns=99 * S + S // 2 + i * S, power_w=w) for i, w in enumerate([99.0, *watts]))
    return RunReply(
        cell="c",
        launch=0,
        status=ReplyStatus.OK,
        runner=RunnerInfo(kind="host", version="1"),
        latency=LatencySamples(first_ns=1, warmup_ns=(), samples_ns=(call_ns,) * calls, began_ns=100 * S),
        state=DeviceStates(
            before=StateSample(at_ns=99 * S),
            after=StateSample(at_ns=200 * S),
            series=series,
            power_definition="power of the board: a sensor" if sensor else None,
        ),
    )


def test_energy_is_the_mean_power_times_the_time_of_a_call() -> None:
    # 20 s of calls of 10 ms at 4 W and 6 W in turn: 5 W times 10 ms. The reading of 99 W came before the first call.
    assert joules_of_launch(reply([4.0, 6.0] * 10)) == pytest.approx(0.05)


def test_readings_after_the_last_measured_call_do_not_count() -> None:
    assert joules_of_launch(reply([5.0] * 20 + [50.0] * 5)) == pytest.approx(0.05)


def test_the_interval_is_that_of_the_mean_of_the_readings() -> None:
    energy = call_energy([4.0, 5.0, 6.0], 1e9)
    # Mean 5, standard deviation 1, t(0.975, 2) = 4.3027: half a width of 4.3027 / √3.
    assert energy.joules == pytest.approx(5.0)
    assert energy.high_joules == pytest.approx(5 + 4.3027 / 3**0.5, rel=1e-4)


def test_the_interval_of_several_launches_is_over_launches() -> None:
    summary = energy_summary([reply([w] * 20) for w in (4.0, 5.0, 6.0)])
    assert summary is not None
    assert summary.joules == pytest.approx(0.05)
    assert (summary.launches, summary.readings) == (3, 60)
    assert summary.high_joules == pytest.approx(0.05 + 0.01 * 4.3027 / 3**0.5, rel=1e-4)


def test_the_value_of_several_launches_is_the_mean_that_the_interval_is_of() -> None:
    watts = [4.0] * 9 + [40.0]
    summary = energy_summary([reply([w] * 20) for w in watts])
    assert summary is not None
    joules = [w / 100 for w in watts]
    assert summary.joules == pytest.approx(np.mean(joules))
    low, high = scipy.stats.t.interval(0.95, len(joules) - 1, np.mean(joules), scipy.stats.sem(joules))
    assert (summary.low_joules, summary.high_joules) == pytest.approx((max(0.0, low), high))


def test_a_short_launch_has_no_energy_but_a_reason() -> None:
    short = energy_summary([reply([5.0] * 3, calls=300)])
    assert short is not None
    assert short.joules is None
    assert short.reason == "needs 10 s of calls, had 3.0 s: use profile energy, mlperf or sustained"


def test_a_sensor_that_fails_leaves_no_energy_but_a_reason() -> None:
    summary = energy_summary([reply([5.0, 5.0])])
    assert summary is not None
    assert summary.reason == "needs 5 readings of the sensor, had 2"


def test_a_device_without_a_sensor_has_nothing_to_say() -> None:
    assert energy_summary([reply([5.0] * 20, sensor=False)]) is None
    assert energy_summary([]) is None


def view(energy: EnergySummary | None) -> CellView:
    cell = cells()[0]
    return CellView(
        cell=cell, measurement=replace(measurement(cell), energy=energy), status=CellStatus.OK, size_ratio=None
    )


def test_a_cell_shows_its_energy_with_interval_and_power() -> None:
    views = (view(energy_summary([reply([4.0, 6.0] * 10)])), view(None))
    column = next(c for c in figure_columns(views) if c.title == "energy")
    assert (column.text(views[0]), column.unit, column.text(views[1])) == ("50.0", "mJ", "–")
    assert column.under(views[0]).endswith(", 5 W")
    assert cell_json(views[0])["energy"]["joules"] == pytest.approx(0.05)
    assert "energy" not in cell_json(views[1])


def test_the_page_says_why_short_launches_have_no_energy_and_the_terminal_has_no_empty_column() -> None:
    views = (view(energy_summary([reply([5.0] * 3, calls=300)])),)
    column = next(c for c in figure_columns(views) if c.title == "energy")
    assert (column.text(views[0]), column.page_only) == ("–", True)
    assert column.absent(views[0]) == "needs 10 s of calls, had 3.0 s"
    assert not [c for c in figure_columns((view(None),)) if c.title == "energy"]


def test_readings_of_other_sensors_are_not_compared() -> None:
    reading = ENERGY.read(view(energy_summary([reply([5.0] * 20)])).measurement or pytest.fail("no measurement"))
    assert reading is not None
    assert reading.definition == "power of the board: a sensor"
