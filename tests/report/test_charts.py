"""Charts: what is drawn, and that it is the same every time."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from harness.report.cell_json import cell_json
from harness.report.charts.charts import Chart, charts
from harness.report.charts.dots import latency_dots, whiskers
from harness.report.charts.figure import svg_of
from harness.report.charts.heat import heat_map
from harness.report.charts.inline import inline_svg
from harness.report.charts.places import device_dots
from harness.report.formats.html import render_page
from harness.report.ranking import rankings
from harness.report.view import cell_views
from harness.store.records import RunRecord
from tests.report.builders import (
    accuracy_of,
    cells,
    host_run,
    latency_of,
    make_run,
    measurement,
    phone_run,
    samples_of,
)
from tests.report.wide import like_samples, wide_run


def drawn(run: RunRecord) -> dict[str, Chart]:
    return {chart.name: chart for chart in charts(run, samples_of(run))}


@pytest.fixture(scope="module")
def host() -> dict[str, Chart]:
    return drawn(host_run())


@pytest.fixture(scope="module")
def phone() -> dict[str, Chart]:
    return drawn(phone_run())


def texts(chart: Chart) -> list[str]:
    """All words in the chart."""
    root = ElementTree.fromstring(chart.svg)
    return [t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}text")]


ALL = ["latency", "quality", "distribution", "memory", "memory-parts", "delegate", "size"]


def test_a_whole_run_has_all_charts(host: dict[str, Chart]) -> None:
    assert list(host) == ALL


def test_the_same_run_gives_the_same_bytes(phone: dict[str, Chart]) -> None:
    assert drawn(phone_run()) == phone


def test_latency_carries_names_values_units_and_n(phone: dict[str, Chart]) -> None:
    words = texts(phone["latency"])
    assert sum(word.startswith("int8-dynamic ") for word in words) == 3
    assert {"pte", "tflite", "onnx", "ptl", "int8 tflite", "11.8 µs"} <= set(words)
    assert "median latency of a call, µs; n = 5 launches of 700 calls" in words


def test_what_a_pointer_shows_is_the_name_and_the_figures(phone: dict[str, Chart]) -> None:
    titles = re.findall(r"<title>(.*?)</title>", phone["latency"].svg)
    assert len(titles) == 14
    assert any(re.fullmatch(r"int8 tflite: 11.8 µs, 11.7 to 12.0 µs", title) for title in titles)
    assert len(re.findall(r"<title>", phone["quality"].svg)) == 3 * 14


def test_one_slow_cell_does_not_flatten_the_others() -> None:
    planned = cells(device="fake")
    measured = [measurement(cell) for cell in planned]
    slow = latency_of([[40_000_000 + i for i in range(700)]])
    measured[-1] = replace(measured[-1], latency=slow)
    figure = latency_dots(cell_views(make_run(planned, tuple(measured))), hollow=frozenset())
    assert figure is not None
    svg = svg_of(figure)
    assert "µs, logarithmic" in svg
    assert ">100<" in svg
    assert ">1000<" in svg


def test_of_many_cells_the_best_of_each_variant_come_first_and_the_rest_are_folded() -> None:
    run = wide_run()
    shown = {chart.name: chart for chart in charts(run, like_samples(run))}
    assert shown["latency-all"].folded
    assert not shown["latency"].folded
    names = [text for text in texts(shown["latency"]) if text.partition(" ")[2] in ("pte", "tflite", "onnx", "ptl")]
    assert len({name.split(" ")[0] for name in names}) == 14
    assert len(names) < len(run.measurements)
    assert "14 of 56 cells; the others are folded below" in shown["latency"].caption


def test_a_page_of_many_models_draws_what_is_needed_to_choose_and_says_what_it_left_out() -> None:
    planned = tuple(c for model in "abcdefg" for c in cells(model=model, device="fake")[:4])
    run = make_run(planned, tuple(measurement(c, launches=3) for c in planned))
    shown = charts(run, samples_of(run), most=8)
    assert [chart.name for chart in shown][:3] == ["overview", "latency-1", "quality-1"]
    assert len(shown) == 8
    page = render_page(run, shown)
    assert "The charts of 3 more pairs of a model and a device are not on this page" in page
    assert f"phonebench report {run.head.id} --to svg" in page


def test_the_overview_has_a_ratio_for_each_model_device_and_variant() -> None:
    planned = (*cells(model="a", device="fake"), *cells(model="b", device="fake"))
    run = make_run(planned, tuple(measurement(c, launches=5) for c in planned))
    figure = heat_map(rankings(run))
    assert figure is not None
    svg = svg_of(figure)
    assert all(f">{word}<" in svg for word in ("a on fake", "b on fake", "int8", "fp16", "1.00"))
    titles = re.findall(r"<title>(.*?)</title>", svg)
    assert len(titles) == 8
    # The builders make int8 take 0.62 of the time of fp32.
    ratios = [float(re.findall(r"([\d.]+) times", title)[0]) for title in titles if ", int8 " in title]
    assert ratios == [pytest.approx(0.62, abs=0.05)] * 2


@pytest.mark.parametrize(
    ("fixture", "says", "says_not"),
    [
        ("host", "p5 to p90 of the calls of the single launch", "95 % interval"),
        ("phone", "Lines are the 95 % interval over launches.", "single launch"),
    ],
)
def test_the_caption_says_what_the_whiskers_are(
    fixture: str, says: str, says_not: str, request: pytest.FixtureRequest
) -> None:
    caption = request.getfixturevalue(fixture)["latency"].caption
    assert says in caption
    assert says_not not in caption


def test_a_run_with_both_kinds_of_whiskers_says_so() -> None:
    one, two = cells()[:2]
    caption = drawn(make_run((one, two), (measurement(one), measurement(two, launches=5))))["latency"].caption
    assert "for a cell with a single launch they are p5 to p90" in caption


def test_the_whiskers_of_two_speeds_reach_from_one_to_the_other() -> None:
    cell = cells()[0]
    found = measurement(cell, launches=5)
    changed = replace(found, latency=latency_of([[ns] * 100 for ns in (1000, 1001, 1002, 2000, 2003, 2001)]))
    run = make_run((cell,), (changed,))
    assert whiskers(cell_views(run)[0]) == pytest.approx((1001, 2001), abs=1)
    assert "from the fastest to the slowest" in drawn(run)["latency"].caption
    speeds = cell_json(cell_views(run)[0])["latency"]["speeds"]
    assert [speed["launches"] for speed in speeds] == [3, 3]


def test_few_calls_have_whiskers_to_p75_and_say_so() -> None:
    cell = cells()[0]
    changed = replace(measurement(cell), latency=latency_of([[1000, 1100, 1200, 1300]]))
    assert "p75 where calls are few" in drawn(make_run((cell,), (changed,)))["latency"].caption


@pytest.mark.parametrize(("fixture", "hollow"), [("host", 10), ("phone", 0)])
def test_what_is_not_ranked_is_hollow(fixture: str, hollow: int, request: pytest.FixtureRequest) -> None:
    chart = request.getfixturevalue(fixture)["latency"]
    marks = re.findall(r'<g role="img"><title>.*?</g>\s*</g>', chart.svg, flags=re.DOTALL)
    assert sum("fill-opacity: 0;" in mark for mark in marks) == hollow
    assert ("must not be compared with fp32" in chart.caption) == bool(hollow)


def test_the_front_is_named_in_the_accuracy_chart(phone: dict[str, Chart]) -> None:
    words = texts(phone["quality"])
    assert {"int8 tflite", "int8-dynamic tflite", "fp32 tflite"} <= set(words)
    # The smallest file of each quality is named beside the fastest.
    assert {"int8 onnx", "fp16 onnx"} <= set(words)
    assert "fp32 ptl" not in words


@pytest.mark.parametrize(("factor", "ticks"), [(1.0, {"1.05", "1.2"}), (30.0, {"1", "2", "5", "10"})])
def test_a_long_tail_gets_a_logarithmic_axis(factor: float, ticks: set[str]) -> None:
    cell = cells()[0]
    calls = [1_000_000 + 4_000 * (i % 100) for i in range(700)]
    calls[::20] = [int(1_000_000 * max(1.2, factor))] * 35
    changed = replace(measurement(cell), latency=latency_of([calls]))
    chart = {c.name: c for c in charts(make_run((cell,), (changed,)), lambda _: [calls])}["distribution"]
    assert {"p50", "p90", "p99"} <= set(texts(chart))
    assert ticks <= set(texts(chart))


def test_marks_need_enough_calls() -> None:
    cell = cells()[0]
    calls = list(range(1000, 1100))
    changed = replace(measurement(cell), latency=latency_of([calls]))
    words = texts({c.name: c for c in charts(make_run((cell,), (changed,)), lambda _: [calls])}["distribution"])
    assert {"p50", "p90"} <= set(words)
    assert "p99" not in words


@pytest.mark.parametrize("gone", [[], [[]]])
def test_lost_samples_leave_out_one_chart_only(gone: list[list[int]]) -> None:
    names = [c.name for c in charts(host_run(), lambda _: gone)]
    assert names == [name for name in ALL if name != "distribution"]


@pytest.mark.parametrize(("correct", "drawn_front"), [((356, 356), 2), ((0, 360), 2)])
def test_extreme_accuracies_can_be_drawn(correct: tuple[int, int], drawn_front: int) -> None:
    planned = cells(device="fake")[:2]
    measured = tuple(replace(measurement(c), accuracy=accuracy_of(n)) for c, n in zip(planned, correct, strict=True))
    assert texts(drawn(make_run(planned, measured))["quality"]).count("accuracy, %") == drawn_front - 1


def test_without_accuracy_the_chart_shows_agreement() -> None:
    planned = cells(device="fake")[:4]
    run = make_run(planned, tuple(replace(measurement(c), accuracy=None) for c in planned))
    assert "same answer as the float model, %" in texts(drawn(run)["quality"])


def test_without_any_quality_there_is_no_accuracy_chart() -> None:
    planned = cells()[:3]
    bare = tuple(replace(measurement(c), accuracy=None, fidelity=None, artifact=None) for c in planned)
    assert list(drawn(make_run(planned, bare))) == ["latency", "distribution", "memory", "memory-parts", "delegate"]


def test_several_devices_have_charts_of_their_own() -> None:
    planned = (*cells()[:2], *cells(device="fake")[:2])
    run = make_run(planned, tuple(measurement(c) for c in planned))
    assert {"latency-1", "latency-2"} <= set(drawn(run))
    assert drawn(run)["latency-2"].about == "digits on fake"


def test_memory_below_the_baseline_can_be_drawn() -> None:
    cell = cells()[0]
    changed = measurement(cell)
    assert changed.memory
    memory = replace(changed.memory, retained_bytes=changed.memory.baseline_bytes - 500_000, peak_bytes=None)
    words = texts(drawn(make_run((cell,), (replace(changed, memory=memory),)))["memory"])
    assert "-500" in words


def test_inline_svg_names_no_address_and_keeps_its_references(host: dict[str, Chart]) -> None:
    inline = inline_svg(host["latency"])
    assert "http" not in inline
    assert "metadata" not in inline
    ids = re.findall(r' id="([^"]+)"', inline)
    used = set(re.findall(r'href="#([^"]+)"', inline)) | set(re.findall(r"url\(#([^)]+)\)", inline))
    assert len(ids) == len(set(ids))
    assert used == set(ids)
    assert all(i.startswith("latency-") for i in ids)


def test_the_same_files_on_two_devices_stand_in_one_row_with_their_ratio() -> None:
    native, web = cells(device="host")[:2], cells(device="web:chromium")[1:3]
    times = {native[0]: 1000, native[1]: 2000, web[0]: 5000, web[1]: 7000}
    timed = tuple(replace(measurement(c), latency=latency_of([[ns] * 700])) for c, ns in times.items())
    figure = device_dots(rankings(make_run(tuple(times), timed)))
    svg = svg_of(figure) if figure else None
    assert svg is not None
    words = re.findall(r">([^<>]+)</text>", svg)
    # Only the second file ran on both, and took 2.5 times as long on one of them.
    assert [word for word in words if word.endswith("×")] == ["2.5×"]
    assert {"host", "web:chromium", f"{native[1].variant} {native[1].format.value}"} <= set(words)
    assert len(re.findall(r"<title>", svg)) == 2


@pytest.mark.parametrize("slow_ns", [0, 5000])
def test_a_device_whose_clock_saw_no_time_pass_has_a_mark_and_no_ratio(slow_ns: int) -> None:
    native, web = cells(device="host")[0], cells(device="web:chromium")[0]
    times = {native: slow_ns, web: 0}
    timed = tuple(replace(measurement(c), latency=latency_of([[ns] * 700])) for c, ns in times.items())
    figure = device_dots(rankings(make_run((native, web), timed)))
    assert figure is not None
    svg = svg_of(figure)
    assert len(re.findall(r"<title>", svg)) == 2
    assert "×" not in svg


def test_devices_without_a_file_in_common_have_no_such_chart() -> None:
    planned = cells(device="host")
    assert device_dots(rankings(make_run(planned, tuple(measurement(c) for c in planned)))) is None
