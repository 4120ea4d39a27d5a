"""Which cells of two runs are compared: those that nothing but the artifact tells apart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.compare.runs import compare_runs
from harness.compare.words import comparison_rows
from harness.plan.cells import make_cell
from harness.records.device import DeviceInfo
from harness.records.measurement import EnergySummary, Measurement
from harness.spec.profiles import ProfileName
from harness.stats.verdicts import Verdict
from harness.store.records import RunRecord
from harness.wire import Delegate, DType, Format, RunnerInfo, TensorSpec
from tests.compare.timed_runs import CELL, LEVEL, a_run, timed
from tests.report.builders import FACTS, PHONE, make_run, measurement


def other_runtime(found: Measurement) -> Measurement:
    assert found.runtime is not None
    return replace(found, runtime=replace(found.runtime, version="2.0"))


def in_the_shell(found: Measurement) -> Measurement:
    return replace(found, runner=RunnerInfo(kind="android-shell", version="0.1.0"))


def regime(device: DeviceInfo, **changes: Any) -> DeviceInfo:
    return replace(device, **changes)


@pytest.mark.parametrize(
    ("other", "key"),
    [
        (a_run(other_runtime), "runtime version"),
        (a_run(in_the_shell), "runner kind"),
        (a_run(device=regime(PHONE, model="Pixel 9")), "device model"),
        (a_run(device=regime(PHONE, os="Android 16")), "OS"),
        (a_run(device=regime(PHONE, details={"build": "another/build"})), "OS build"),
        (a_run(device=regime(PHONE, details={"clock_regime": "fixed"})), "clock regime"),
        (a_run(facts=replace(FACTS, data_sha256="00")), "data"),
        (
            a_run(cell=make_cell("digits", "fp32", Format.ONNX, Delegate.CPU, 4, PHONE.key, ProfileName.STANDARD)),
            "threads",
        ),
    ],
    ids=["runtime", "runner", "model", "os", "build", "clocks", "data", "threads"],
)
def test_unlike_runs_name_the_key_that_differs(other: RunRecord, key: str) -> None:
    (cell,) = compare_runs(a_run(), other).cells
    assert cell.verdict is Verdict.NOT_COMPARABLE
    assert key in [d.key for d in cell.differing]
    assert key in comparison_rows(compare_runs(a_run(), other))[0][-1]


def on_unit(serial: str, key: str = PHONE.key) -> RunRecord:
    """The run on the unit with that serial number, opened as ``key``."""
    cell = replace(CELL, key=f"{CELL.key}-{serial}", device=key)
    return a_run(cell=cell, device=regime(PHONE, key=key, details={"serial": serial} if serial else {}))


def test_two_units_of_one_model_are_compared_on_request_and_labelled() -> None:
    pair = on_unit("R58M1", "android:R58M1"), on_unit("R58M2", "android:R58M2")
    (apart,) = compare_runs(*pair).cells
    assert apart.verdict is Verdict.NOT_COMPARABLE
    assert [(d.key, d.a, d.b) for d in apart.differing] == [("unit", "R58M1", "R58M2")]
    assert "--across-units" in comparison_rows(compare_runs(*pair))[0][-1]
    across = compare_runs(*pair, across_units=True)
    assert across.verdict is Verdict.EQUIVALENT
    assert "two units of one model: A ran on R58M1, B on R58M2" in across.notes


def with_energy(found: Measurement, *, definition: str = "rails") -> Measurement:
    launches = tuple(replace(launch, energy_joules=0.03 + launch.index / 1e4) for launch in found.launches)
    return replace(found, launches=launches, energy=EnergySummary(definition=definition, joules=0.03, pairs=5))


def energy_verdict(a: RunRecord, b: RunRecord) -> tuple[Verdict, str | None]:
    (cell,) = compare_runs(a, b, across_units=True).cells
    energy = next(m for m in cell.metrics if m.metric == "energy")
    return energy.verdict, energy.reason


def test_energies_of_two_units_are_not_compared_on_request_either() -> None:
    def run(serial: str, **changes: str) -> RunRecord:
        made = on_unit(serial, f"android:{serial}")
        return replace(made, measurements=tuple(with_energy(m, **changes) for m in made.measurements))

    assert energy_verdict(run("R58M1"), run("R58M1"))[0] is Verdict.EQUIVALENT
    verdict, reason = energy_verdict(run("R58M1"), run("R58M2"))
    assert verdict is Verdict.NOT_COMPARABLE
    assert reason == "energy per inference is comparable on one and the same device only, and these may be two"
    other = energy_verdict(run("R58M1"), run("R58M1", definition="battery"))
    assert other == (Verdict.NOT_COMPARABLE, "the two runs define energy per inference differently")


def test_units_of_different_models_are_not_compared_on_request_either() -> None:
    other = a_run(device=regime(PHONE, model="Pixel 9", details={"serial": "R58M2"}))
    assert compare_runs(on_unit("R58M1"), other, across_units=True).verdict is Verdict.NOT_COMPARABLE


@pytest.mark.parametrize("serial", ["", "192.168.1.7:5555"])
def test_a_unit_that_is_not_recorded_is_noted_and_compared(serial: str) -> None:
    found = compare_runs(on_unit("R58M1"), on_unit(serial))
    assert found.verdict is Verdict.EQUIVALENT
    assert "run B does not record the unit, which may differ" in found.notes


def shaped(side: int) -> RunRecord:
    """The run on square images of that side, made up, so that no data tell them apart."""
    image = TensorSpec(name="image", dtype=DType.FLOAT32, shape=(1, 3, side, side))
    return a_run(facts=replace(FACTS, data_sha256=None, inputs=(image,)))


def test_another_input_shape_is_not_compared() -> None:
    (cell,) = compare_runs(shaped(224), shaped(192)).cells
    assert (cell.verdict, cell.metrics) == (Verdict.NOT_COMPARABLE, ())
    assert [(d.key, d.b) for d in cell.differing] == [("inputs", "image:float32:1x3x192x192")]
    assert compare_runs(shaped(224), shaped(224)).verdict is Verdict.EQUIVALENT


def with_input_option(*texts: str) -> RunRecord:
    """A run of an earlier version, which stored the option --input alone."""
    run = a_run()
    return replace(run, head=replace(run.head, spec=replace(run.head.spec, input=texts)))


def test_runs_that_do_not_record_their_inputs_are_compared_with_a_note() -> None:
    old = compare_runs(a_run(), a_run())
    assert (old.verdict, old.notes) == (Verdict.EQUIVALENT, ("neither run records the inputs, which may differ",))
    mixed = compare_runs(a_run(), a_run(facts=replace(FACTS, inputs=(FLOAT_IMAGE,))))
    assert (mixed.verdict, mixed.notes) == (Verdict.EQUIVALENT, ("run A does not record the inputs, which may differ",))
    asked = (with_input_option("image:float32:1x3x224x224"), with_input_option("image:float32:1x3x192x192"))
    assert [d.key for d in compare_runs(*asked).cells[0].differing] == ["inputs"]


FLOAT_IMAGE = TensorSpec(name="image", dtype=DType.FLOAT32, shape=(1, 1, 8, 8))


def test_cells_pair_with_the_most_alike_of_another_unit() -> None:
    def run(serial: str, threads: tuple[int, ...]) -> RunRecord:
        device = regime(PHONE, key=f"android:{serial}", details={"serial": serial})
        cells = tuple(
            make_cell("digits", "fp32", Format.ONNX, Delegate.CPU, t, device.key, ProfileName.STANDARD) for t in threads
        )
        return make_run(cells, tuple(timed(measurement(c, launches=5), LEVEL) for c in cells), device=device)

    found = compare_runs(run("R58M1", (1, 4)), run("R58M2", (4, 1)), across_units=True)
    assert [cell.verdict for cell in found.cells] == [Verdict.EQUIVALENT] * 2


def test_cells_of_one_run_only_are_listed() -> None:
    other = make_cell("digits", "int8", Format.ONNX, Delegate.CPU, 1, PHONE.key, ProfileName.STANDARD)
    found = compare_runs(a_run(), a_run(cell=other))
    assert (found.cells, found.only_a, found.only_b) == ((), (CELL.key,), (other.key,))
    assert found.verdict is Verdict.NOT_COMPARABLE
