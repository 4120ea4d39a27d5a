"""Ranges from histograms, and what each format makes of a recipe's observer and calibration inputs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from harness.artifacts.export.registry import EXPORTERS
from harness.spec.formats import Backend
from harness.spec.recipe import Observer
from harness.variants.ranges import (
    AVERAGING,
    GrowingHistogram,
    Histogram,
    ObservedRange,
    least_error_range,
    percentile_range,
)
from harness.wire import Format
from harness.wire.tensors import Array
from tests.artifacts.shop import Shop, float_model, make_network, read_content, recipe, run_file

pytestmark = pytest.mark.filterwarnings("ignore")

FORMATS = (Format.ONNX, Format.TFLITE, Format.PTL, Format.PTE)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(folder=tmp_path_factory.mktemp("shop"))


def counted(values: Array) -> Histogram:
    histogram = GrowingHistogram()
    histogram.add(values)
    return histogram.between(float(values.min()), float(values.max()))


def test_a_histogram_counts_every_value_but_zeros_once() -> None:
    histogram = counted(np.array([-1.0, 0.0, 0.001, 1.0]))
    assert histogram.counts.sum() == 3
    assert (histogram.counts[0], histogram.counts[-1]) == (1, 1)


def test_a_histogram_that_grew_has_what_one_of_the_right_size_has() -> None:
    values = np.random.default_rng(0).standard_normal(50_000) ** 3
    grown = GrowingHistogram()
    for part in np.split(values[np.argsort(np.abs(values))], 10):
        grown.add(part)
    histogram = grown.between(float(values.min()), float(values.max()))
    counts, _ = np.histogram(values, histogram.edges)
    assert np.array_equal(histogram.counts, counts)


def test_a_sample_of_very_many_values_has_both_extremes() -> None:
    values = np.random.default_rng(0).standard_normal(1_000_000)
    histogram = counted(values)
    assert (histogram.edges[0], histogram.edges[-1]) == (values.min(), values.max())
    assert histogram.counts[0] > 0
    assert histogram.counts[-1] > 0
    low, high = percentile_range(histogram)
    assert (low, high) == pytest.approx(tuple(np.percentile(values, [0.005, 99.995])), rel=0.1)


def test_values_that_are_all_equal_have_a_range_that_includes_zero() -> None:
    histogram = counted(np.full(9, 3.0))
    assert least_error_range(histogram, 256) == (0.0, 3.0)


@pytest.mark.parametrize("observer", list(Observer))
def test_a_range_of_zeros_alone_and_of_nothing(observer: Observer) -> None:
    zeros, nothing = ObservedRange(observer), ObservedRange(observer)
    zeros.see(np.zeros(5))
    nothing.see(np.array([]))
    assert zeros.range(256) == (0.0, 0.0)
    assert nothing.range(256) is None


@pytest.mark.parametrize("observer", list(Observer))
def test_values_that_are_not_finite_do_not_count(observer: Observer) -> None:
    observed = ObservedRange(observer)
    observed.see(np.array([-1.0, np.inf, 2.0, np.nan, -np.inf]))
    low, high = observed.range(256) or (0, 0)
    assert -1.0 <= low < 0 < high <= 2.0


def test_a_percentile_cuts_what_is_rare_at_both_ends() -> None:
    values = np.concatenate([np.linspace(-1, 1, 100_000), [-50, 80]])
    low, high = percentile_range(counted(values))
    width = 130 / 2048
    assert -1 - width <= low <= -0.9
    assert 0.9 <= high <= 1 + width


@pytest.mark.parametrize("levels", [16, 256])
def test_the_least_error_range_is_better_than_its_neighbours(levels: int) -> None:
    values = np.random.default_rng(0).standard_normal(200_000) ** 3
    low, high = least_error_range(counted(values), levels)
    best = rounding_error(values, low, high, levels)
    assert -values.min() > -low > 0
    assert values.max() > high > 0
    assert best < rounding_error(values, float(values.min()), float(values.max()), levels)
    assert best < min(rounding_error(values, low * f, high * f, levels) for f in (0.6, 1.6))


def rounding_error(values: Array, low: float, high: float, levels: int) -> float:
    step = (high - low) / (levels - 1)
    stored = np.clip(np.rint((values - low) / step), 0, levels - 1)
    return float(np.mean((stored * step + low - values) ** 2))


def test_sixteen_bits_clip_less_than_eight() -> None:
    histogram = counted(np.random.default_rng(0).standard_normal(200_000) ** 3)
    assert least_error_range(histogram, 2**16)[1] > least_error_range(histogram, 2**8)[1]


def moving_average(inputs: Array, weight: float) -> float:
    low, high = float(inputs[0].min()), float(inputs[0].max())
    for x in inputs[1:]:
        low, high = low + weight * (float(x.min()) - low), high + weight * (float(x.max()) - high)
    return high - low


def test_a_moving_average_is_taken_of_the_ranges_inside(shop: Shop) -> None:
    front = torch.nn.Sequential(*list(make_network().get_submodule("body").children())[:3])
    with torch.no_grad():
        activations = np.stack([front(torch.from_numpy(x)).numpy() for x in shop.inputs])
    activations[:, 0, 0, 0, 0] = 0
    found = [range_ for _, range_ in onnx_ranges(shop.file(Format.ONNX, recipe("int8-movingaverage")))]
    expected = moving_average(activations, AVERAGING)
    assert any(range_ == pytest.approx(expected, rel=1e-2) for range_ in found), (expected, found)
    assert not any(range_ == pytest.approx(activations.max(), rel=1e-2) for range_ in found)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_moving_average_keeps_the_whole_input(shop: Shop, format_: Format) -> None:
    content = read_content(shop.file(format_, recipe("int8-movingaverage")))
    assert content.input_range == pytest.approx(np.ptp(shop.inputs), rel=1e-3)


def onnx_ranges(path: Path) -> Iterator[tuple[str, float]]:
    """The tensors that are quantised to eight bits, and the width of each one's range."""
    graph = onnx.load(str(path)).graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "QuantizeLinear":
            yield node.input[0], float(constants[node.input[1]]) * 255


@pytest.mark.parametrize("format_", FORMATS)
def test_minimum_and_maximum_are_those_of_all_inputs(shop: Shop, format_: Format) -> None:
    content = read_content(shop.file(format_, recipe("int8-minmax")))
    assert content.input_range == pytest.approx(np.ptp(shop.inputs), rel=1e-3)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_percentile_is_that_of_all_inputs(shop: Shop, format_: Format) -> None:
    content = read_content(shop.file(format_, recipe("int8-percentile")))
    low, high = np.percentile(shop.inputs, [0.005, 99.995])
    assert content.input_range == pytest.approx(high - low, rel=0.05)
    assert (content.input_range or 0) < 0.95 * np.ptp(shop.inputs)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_histogram_clips_what_costs_less_than_it_gives(shop: Shop, format_: Format) -> None:
    path = shop.file(format_, recipe("int8-histogram"))
    assert 0.2 * np.ptp(shop.inputs) < (read_content(path).input_range or 0) < 0.995 * np.ptp(shop.inputs)
    assert shop.sqnr_db(path) > 20


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("count", [1, 3])
def test_only_the_inputs_that_were_asked_for_calibrate(shop: Shop, format_: Format, count: int) -> None:
    knobs = recipe("int8", observer=Observer.MIN_MAX, calibration_inputs=count)
    content = read_content(shop.file(format_, knobs))
    assert content.input_range == pytest.approx(np.ptp(shop.inputs[:count]), rel=1e-3)


@pytest.mark.parametrize("observer", list(Observer))
def test_one_input_is_enough_for_every_observer(shop: Shop, observer: Observer) -> None:
    path = shop.file(Format.ONNX, recipe("int8", observer=observer, calibration_inputs=1))
    assert shop.sqnr_db(path) > 10


def test_files_of_every_observer_differ(shop: Shop) -> None:
    files: list[Path] = [shop.file(Format.ONNX, recipe("int8", observer=observer)) for observer in Observer]
    assert len({file.read_bytes() for file in files}) == len(Observer)


@pytest.mark.parametrize("format_", FORMATS)
def test_an_input_of_four_features_is_not_clipped(format_: Format, tmp_path: Path) -> None:
    # The measurements of iris: four numbers per input, of which a single one shows little of the range.
    rng = np.random.default_rng(0)
    inputs = (rng.standard_normal((40, 1, 4)) * [0.8, 0.4, 1.8, 0.8] + [5.8, 3.1, 3.8, 1.2]).astype(np.float32)
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)).eval()
    path = tmp_path / f"model.{format_.value}"
    backend = Backend.PORTABLE if format_ is Format.PTE else None
    EXPORTERS[format_](float_model(network, inputs)).export(recipe("int8"), backend, path)
    with torch.no_grad():
        expected = np.stack([network(torch.from_numpy(x)).numpy() for x in inputs])
    error = np.stack(list(run_file(path, inputs))) - expected
    assert 10 * np.log10((expected**2).sum() / (error**2).sum()) > 30
