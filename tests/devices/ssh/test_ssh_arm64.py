"""A board with another processor than this computer's, run by the real command line: what ships is what is measured.

qemu computes as the processor that it imitates. Where that differs from what the system promises, runtimes crash or
give garbage, as they do on real boards with a wrong kernel: those are ready-made faults.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.conftest import Called, call_phonebench
from tests.devices.ssh.arm64 import A76_FEATURES, ArmBoard, cpuinfo, need_arm64
from tests.devices.ssh.hardware import PMIC_WATTS, raspberry_pi_5
from tests.devices.ssh.lab import Lab

pytestmark = pytest.mark.timeout(600)
# What the same file gives here and there, in dB: int8 files are equal to the bit, float ones differ by rounding.
LEAST_DB = {"int8": np.inf, "fp32": 120.0}


@pytest.fixture(scope="module")
def boards(lab: Lab) -> Generator[None]:
    """A Pi 5; three boards whose processor, its description and /sys do not fit each other."""
    root = need_arm64()
    promised = cpuinfo("0xd0b", A76_FEATURES)
    made = {name: ArmBoard(lab, name, number, root) for number, name in enumerate(("pi5", "max", "a72", "bare"), 10)}
    try:
        for name, board in made.items():
            board.build()
            sysfs, tools = board.root / "sys", board.root / "tools"
            raspberry_pi_5(sysfs, tools, inside=Path("/usr/local/bin"))
            processor = {"max": "max", "a72": "cortex-a72"}.get(name, "cortex-a76")
            board.boot(qemu_cpu=processor, cpu=promised, sysfs=None if name == "bare" else sysfs, tools=tools)
        yield
    finally:
        for board in made.values():
            board.remove()


def run(lab: Lab, folder: Path, cache: Path, *args: str) -> Called:
    return call_phonebench(
        "run", "digits", *args, "--results", "results", "--cache-dir", str(cache), "--json",
        cwd=folder, env=lab.environment(), timeout_s=500,
    )  # fmt: skip


def stored(folder: Path, suffix: str, sha256: str) -> bytes:
    (path,) = folder.glob(f"results/*/replies/{sha256}{suffix}.gz")
    return gzip.decompress(path.read_bytes())


def db(there: npt.NDArray[np.float32], here: npt.NDArray[np.float32]) -> float:
    """The signal-to-noise ratio of the outputs there against those here; infinite where all bits are equal."""
    noise = np.sum((there.astype(np.float64) - here) ** 2)
    return float("inf") if noise == 0 else float(10 * np.log10(np.sum(here.astype(np.float64) ** 2) / noise))


@pytest.mark.usefixtures("boards")
def test_a_board_with_an_arm_processor_gives_the_outputs_of_this_computer(
    lab: Lab, outside: Path, working_cache: Path
) -> None:
    done = run(lab, outside, working_cache, "-d", "ssh:pi5,host", "-f", "onnx,tflite", "-v", "fp32,int8")
    assert done.code == 0, done.err
    shown = done.json()
    assert {(cell["device"], cell["status"]) for cell in shown["cells"]} == {("ssh:pi5", "ok"), ("host", "ok")}
    outputs: dict[tuple[str, str, str], npt.NDArray[np.float32]] = {}
    measurements: list[dict[str, Any]] = []
    for line in next(outside.glob("results/*/measurements.jsonl")).read_text().splitlines():
        measurements.append(json.loads(line))
    cells = {cell["key"]: cell for cell in shown["cells"]}
    for measured in measurements:
        cell = cells[measured["cell"]]
        raw = np.frombuffer(stored(outside, ".bin", measured["outputs_sha256"]), dtype=np.float32)
        outputs[cell["device"], cell["format"], cell["variant"]] = raw
    for (device, format_, variant), here in outputs.items():
        if device == "host":
            assert db(outputs["ssh:pi5", format_, variant], here) >= LEAST_DB[variant], (format_, variant)
    check_pi(shown, [m for m in measurements if cells[m["cell"]]["device"] == "ssh:pi5"], outside)


def check_pi(shown: Any, measurements: list[dict[str, Any]], folder: Path) -> None:
    """What the board reports of itself is in the run: its model, its clocks, and its power once a second."""
    (info,) = (device for device in shown["run"]["devices"] if device["kind"] == "ssh")
    assert (info["model"], info["abi"]) == ("Raspberry Pi 5 Model B Rev 1.0", "aarch64")
    assert "Cortex-A76" in info["cpu"]
    for measured in measurements:
        assert "use profile energy, mlperf or sustained" in measured["energy"]["reason"]
        watch = json.loads(stored(folder, ".watch.json", measured["launches"][0]["watch_sha256"]))
        assert [sample["power_w"] for sample in watch] == pytest.approx([PMIC_WATTS] * len(watch))
        assert watch[0]["cpu_khz"] == [2_400_000] * 4
        assert watch[0]["temperatures_c"] == {"cpu-thermal": 51.25}


@pytest.mark.usefixtures("boards")
def test_a_processor_that_breaks_its_promises_is_caught(lab: Lab, outside: Path, working_cache: Path) -> None:
    done = run(lab, outside, working_cache, "-d", "ssh:max,ssh:a72,ssh:bare", "-f", "tflite", "-v", "int8")
    assert done.code == 5, done.err
    cells = {cell["device"]: cell for cell in done.json()["cells"]}
    # Wrong numbers are no result, whatever their speed.
    assert cells["ssh:max"]["status"] == "broken", cells["ssh:max"]
    assert cells["ssh:a72"]["status"] == "failed"
    assert cells["ssh:a72"]["reason"] == (
        "the runner crashed with SIGILL: the runtime used an instruction that this processor does not have"
    )
    # XNNPACK does not start on a system that does not list its cores, and LiteRT says nothing of it.
    assert [c["id"] for c in cells["ssh:bare"]["conditions"] if c["id"] == "FALLBACK"] == ["FALLBACK"]
