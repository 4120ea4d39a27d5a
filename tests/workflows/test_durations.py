"""How long commands take, roughly: from the cells and the profile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.plan.cells import Plan, make_cell
from harness.spec.profiles import ProfileName
from harness.spec.spec import Spec
from harness.wire import Delegate, Format
from harness.workflows.durations import cells_seconds, night_estimate, pairs_estimate, run_estimate, spoken

LLAMA = '{"architectures": ["LlamaForCausalLM"]}'


def plan(*devices: str, profile: ProfileName = ProfileName.QUICK) -> Plan:
    """One cell per device."""
    cells = [make_cell("net", "fp32", Format.ONNX, Delegate.CPU, 1, device, profile) for device in devices]
    return Plan(cells=tuple(cells), holes=())


def test_a_launch_takes_what_the_profile_times_and_what_a_launch_costs() -> None:
    # Half a second of warm-up, three of measuring, a fifth to settle, and the overhead.
    assert cells_seconds(plan("host").cells) == (6.7, 6.7)
    assert cells_seconds(plan("host").cells, launches=3) == pytest.approx((20.1, 20.1))


def test_the_stop_rule_gives_a_range() -> None:
    low, high = cells_seconds(plan("host", profile=ProfileName.STANDARD).cells)
    assert high == 4 * low


def test_only_devices_that_share_no_processor_run_side_by_side() -> None:
    one = cells_seconds(plan("host").cells)[0]
    assert cells_seconds(plan("host", "fake").cells)[0] == 2 * one
    assert cells_seconds(plan("android:a", "android:b").cells)[0] == one
    assert cells_seconds(plan("host", "android:a", "android:b").cells)[0] == 2 * one


def test_each_length_of_a_prompt_counts_as_a_cell_of_a_language_model(tmp_path: Path) -> None:
    ready, folder = tmp_path / "ready", tmp_path / "folder"
    for path, file, text in ((ready, "genai_config.json", "{}"), (folder, "config.json", LLAMA)):
        path.mkdir()
        (path / file).write_text(text)
    spec = Spec(device=("host",), format=(Format.GENAI, Format.PTE), variant=("fp32",), prompt=(8, 16, 32))
    for models, cells in (((ready,), 3), ((folder,), 6), (("talk.gguf",), 3), ((folder, "digits"), 8)):
        said = night_estimate(replace(spec, model=tuple(map(str, models))), budget_min=60.0)
        assert said.startswith(f"Measuring up to {cells} cells takes ")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        ((6.7, 6.7), "about 7 s"),
        ((0.1, 0.2), "about 1 s"),
        ((40, 85), "40 to 85 s"),
        ((30, 120), "1 to 2 min"),
        ((170, 700), "3 to 12 min"),
        ((3600, 9000), "1 to 2.5 h"),
    ],
)
def test_ranges_are_spoken_in_one_unit(seconds: tuple[float, float], words: str) -> None:
    assert spoken(seconds) == words


def test_each_command_has_its_sentence() -> None:
    assert run_estimate(plan("host"), launches=None).startswith("Measuring takes about 7 s;")
    assert pairs_estimate(10, 20) == "10 to 20 pairs take 2 to 10 min."
    spec = Spec(device=("host", "fake"), format=(Format.ONNX,), variant=("fp32", "int8"), profile=ProfileName.STANDARD)
    night = night_estimate(spec, budget_min=60.0)
    assert night.startswith("Measuring up to 4 cells takes 4 to 15 min;")
    one = Spec(device=("fake",), format=(Format.ONNX,), variant=("fp32",), profile=ProfileName.QUICK)
    assert night_estimate(one, budget_min=60.0).startswith("Measuring 1 cell takes ")
    mixed = replace(spec, model=("digits", "net.onnx"))
    # On each device four builds of the one, and the other as it is.
    assert night_estimate(replace(mixed, format=(Format.ONNX, Format.PTE)), budget_min=60.0).startswith(
        "Measuring up to 10 cells takes "
    )
    assert night.endswith("comparisons side by side take up to 60 min more (--budget).")
