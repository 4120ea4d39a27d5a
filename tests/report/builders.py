"""Made-up runs that look like real ones: sixteen digits cells on this host, and a phone with five launches per cell."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.measure.latency import summarise
from harness.model.card import Task
from harness.plan.cells import Cell, Hole, Plan, make_cell
from harness.records.artifact import ArtifactFacts
from harness.records.conditions import Condition, ConditionId
from harness.records.device import DeviceInfo
from harness.records.measurement import (
    Accuracy,
    CellStatus,
    Fidelity,
    LatencySummary,
    LaunchSummary,
    LoadSummary,
    Measurement,
)
from harness.report.charts.charts import charts
from harness.report.formats.html import render_page
from harness.spec.formats import Backend, default_formats
from harness.spec.profiles import ProfileName
from harness.spec.spec import Spec
from harness.stats.intervals import wilson
from harness.stats.proportions import correct_to_bits
from harness.store.records import ModelFacts, RunHead, RunRecord
from harness.wire import (
    Delegate,
    Failure,
    FailureKind,
    Format,
    MemoryMoment,
    MemoryReading,
    MemorySplit,
    RunnerInfo,
    RuntimeReport,
)

Samples = Callable[[Measurement], list[list[int]]]

VARIANTS = ("fp32", "fp16", "int8", "int8-dynamic")
DELEGATE = {
    Format.PTE: Delegate.XNNPACK,
    Format.TFLITE: Delegate.XNNPACK,
    Format.ONNX: Delegate.CPU,
    Format.PTL: Delegate.CPU,
}
# Rough but plausible: µs per call of fp32 by format; factors of time and size, and the error, by variant.
BASE_US = {Format.PTE: 41.0, Format.TFLITE: 18.5, Format.ONNX: 29.0, Format.PTL: 88.0}
SPEED = {"fp32": 1.0, "fp16": 1.06, "int8": 0.62, "int8-dynamic": 0.9}
FLOAT_BYTES = {Format.PTE: 79_000, Format.TFLITE: 77_300, Format.ONNX: 75_900, Format.PTL: 91_200}
SIZE = {"fp32": 1.0, "fp16": 0.52, "int8": 0.29, "int8-dynamic": 0.31}
CORRECT = {"fp32": 356, "fp16": 356, "int8": 354, "int8-dynamic": 355}
SQNR = {"fp32": 131.0, "fp16": 66.0, "int8": 27.5, "int8-dynamic": 33.1}
HOST = DeviceInfo(
    key="host",
    kind="host",
    model="Desktop",
    os="Linux 6.8",
    cpu="AMD EPYC 7B13",
    cores=2,
    memory_bytes=8 << 30,
    abi="x86_64",
)
PHONE = DeviceInfo(
    key="android:R58M1",
    kind="android",
    model="Pixel 8",
    os="Android 15",
    cpu="Tensor G3",
    cores=9,
    memory_bytes=8 << 30,
    abi="arm64-v8a",
)
DESKTOP = Condition(id=ConditionId.DESKTOP_CPU, summary="measured on a desktop CPU, not on a phone")
INDICATIVE = Condition(id=ConditionId.INDICATIVE, summary="one launch: no interval between launches")
SHARED = Condition(id=ConditionId.SHARED_HOST, summary="other programs ran on this machine")
FACTS = ModelFacts(
    name="digits",
    task=Task.CLASSIFICATION.value,
    license="BSD-3-Clause",
    source="network:build",
    random_weights=False,
    weights_sha256="ab" * 32,
    data_sha256="cd" * 32,
    parameters=18_634,
    test_count=360,
    calibration_count=200,
    labelled=True,
    float_correct=356,
)


def sample_launches(cell: Cell, *, launches: int, calls: int = 700) -> list[list[int]]:
    """Call times of ``launches`` launches in ns: each with its own level, a right tail and a few slow calls."""
    rng = random.Random(cell.key)
    level_ns = 1000 * BASE_US[cell.format] * SPEED[cell.variant] * (1.0 if cell.backend is not Backend.PORTABLE else 40)
    levels = [level_ns * rng.gauss(1, 0.02) for _ in range(launches)]
    return [[int(x * (1 + rng.expovariate(30) + (rng.random() < 0.006) * 2)) for _ in range(calls)] for x in levels]


def latency_of(launches: list[list[int]]) -> LatencySummary:
    """The summary of ``launches`` as a run stores it."""
    summary = summarise(launches)
    return LatencySummary(**{name: getattr(summary, name) for name in LatencySummary.__slots__})


def accuracy_of(correct: int, count: int = 360) -> Accuracy:
    """Top-1 of ``correct`` in ``count``; the last answers are the wrong ones."""
    return accuracy_from([True] * correct + [False] * (count - correct))


def accuracy_from(right: Sequence[bool], floats: Sequence[bool] | None = None) -> Accuracy:
    """Top-1 of the answers that are ``right``, and of the float model's on the same inputs where they are given."""
    correct, count = sum(right), len(right)
    low, high = wilson(correct, count)
    return Accuracy(
        metric="top-1",
        value=correct / count,
        low=low,
        high=high,
        correct=correct,
        count=count,
        correct_bits=correct_to_bits(right),
        float_bits="" if floats is None else correct_to_bits(floats),
    )


def measurement(cell: Cell, *, launches: int = 1, conditions: tuple[Condition, ...] = ()) -> Measurement:
    """A cell that ran to its end."""
    calls = sample_launches(cell, launches=launches)
    agreement = 1.0 if cell.variant in ("fp32", "fp16") else 0.994
    return Measurement(
        cell=cell.key,
        status=CellStatus.OK,
        started_at="2026-11-23T01:40:02Z",
        ended_at="2026-11-23T01:40:09Z",
        artifact=_artifact(cell, agreement),
        launches=tuple(_launch(i, samples) for i, samples in enumerate(calls)),
        latency=latency_of(calls),
        load=LoadSummary(first_ns=1.3e6, first_inference_ns=0.4e6),
        memory=_memory(cell),
        accuracy=accuracy_of(CORRECT[cell.variant]),
        fidelity=_fidelity(cell, agreement),
        runtime=_runtime(cell),
        runner=RunnerInfo(kind="host", version="0.1.0"),
        conditions=conditions,
    )


def _artifact(cell: Cell, agreement: float) -> ArtifactFacts:
    bytes_ = FLOAT_BYTES[cell.format] * SIZE[cell.variant]
    return ArtifactFacts(
        sha256="ef" * 32,
        bytes=round(bytes_),
        sqnr_db=SQNR[cell.variant],
        agreement=agreement,
        compressed_bytes=round(bytes_ * 0.8),
        parameters=29_700,
        macs=700_000,
    )


def _memory(cell: Cell) -> MemoryReading:
    base = 41 << 20
    grown = round(FLOAT_BYTES[cell.format] * (3 + SIZE[cell.variant])) + (1 << 19)
    steady = base + grown + (1 << 18)
    return MemoryReading(
        definition="RssAnon + VmSwap of the runner process",
        baseline_bytes=base,
        loaded_bytes=base + grown,
        steady_bytes=steady,
        peak_bytes=base + grown + (1 << 19),
        retained_bytes=base + (1 << 17),
        mapped_bytes=1 << 18,
        split=(
            MemorySplit(at=MemoryMoment.BASELINE, anonymous_bytes=base),
            MemorySplit(
                at=MemoryMoment.STEADY,
                anonymous_bytes=steady,
                file_bytes=58 << 20,
                shared_bytes=0,
                swap_bytes=0,
                pss_bytes=base + grown + (33 << 20),
            ),
        ),
    )


def _fidelity(cell: Cell, agreement: float) -> Fidelity:
    sqnr = SQNR[cell.variant]
    return Fidelity(
        sqnr_db=sqnr,
        sqnr_worst_db=sqnr - 9,
        cosine=0.9996,
        max_error=0.2,
        agreement=agreement,
        count=360,
        sqnr_min_db=sqnr - 12,
        worst_input=7,
    )


def _runtime(cell: Cell) -> RuntimeReport:
    return RuntimeReport(
        name="ExecuTorch" if cell.format is Format.PTE else cell.format.value,
        version="1.4.1",
        delegate_requested=cell.delegate,
        delegate_used=cell.delegate.value,
        threads=cell.threads,
        nodes_total=14,
        nodes_delegated=12 if cell.delegate is Delegate.XNNPACK else None,
    )


def broken(cell: Cell, reason: str = "its outputs are 0.4 dB above their error against the float model") -> Measurement:
    """A cell whose artifact did not pass the gate."""
    artifact = ArtifactFacts(sha256="ba" * 32, bytes=26_000, sqnr_db=0.4, agreement=0.11)
    return replace(_empty(cell), status=CellStatus.BROKEN, reason=reason, artifact=artifact)


def failed(cell: Cell, message: str = "the runner was killed by signal 11") -> Measurement:
    """A cell that crashed on its device."""
    return replace(
        _empty(cell),
        status=CellStatus.FAILED,
        failure=Failure(kind=FailureKind.CRASH, message=message, detail="SIGSEGV"),
    )


def cells(*, device: str = "host", model: str = "digits", profile: ProfileName = ProfileName.QUICK) -> tuple[Cell, ...]:
    """Four formats by four variants."""
    return tuple(
        make_cell(model, variant, format_, DELEGATE[format_], 1, device, profile)
        for format_ in default_formats()
        for variant in VARIANTS
    )


def make_run(
    planned: tuple[Cell, ...],
    measurements: tuple[Measurement, ...],
    *,
    holes: tuple[Hole, ...] = (),
    device: DeviceInfo = HOST,
    facts: ModelFacts = FACTS,
) -> RunRecord:
    """A finished run with just these cells."""
    head = RunHead(
        id="20261123-014001-5f3a",
        created_at="2026-11-23T01:40:01Z",
        finished_at="2026-11-23T01:43:40Z",
        spec=Spec(model=(facts.name,), device=(device.key,)),
        plan=Plan(cells=planned, holes=holes),
        models=(facts,),
        devices=(device,),
        host=HOST,
        versions={"phonebench": "0.1.0", "python": "3.11.9", "torch": "2.13.0", "executorch": "1.4.1"},
        commit="0123456789abcdef0123456789abcdef01234567",
    )
    return RunRecord(head=head, directory=Path("results") / head.id, measurements=measurements)


def with_head(run: RunRecord, **changes: Any) -> RunRecord:
    """``run`` with fields of its head replaced."""
    return replace(run, head=replace(run.head, **changes))


def host_run() -> RunRecord:
    """Sixteen digits cells on this machine, quick profile: fourteen ok, one broken, one hole."""
    planned = cells()
    hole, bad = planned[3], planned[14]
    ok = tuple(c for c in planned if c not in (hole, bad))
    measured = tuple(measurement(c, conditions=(DESKTOP, SHARED, INDICATIVE)) for c in ok)
    reason = "ExecuTorch's portable kernels have no dynamically quantised linear; use the xnnpack delegate"
    return make_run((*ok, bad), (*measured, broken(bad)), holes=(Hole(cell=hole, reason=reason),))


def phone_run() -> RunRecord:
    """Sixteen digits cells on a phone, five launches each; one failed, one has not run yet, one was hot."""
    planned = cells(device=PHONE.key, profile=ProfileName.STANDARD)
    hot = Condition(id=ConditionId.THERMAL, summary="the phone was warm: thermal status LIGHT", detail="39.5 °C")
    measured = [measurement(c, launches=5) for c in planned[:14]]
    measured[5] = replace(measured[5], conditions=(hot,))
    measured.append(failed(planned[14]))
    return make_run(planned, tuple(measured), device=PHONE)


def samples_of(run: RunRecord) -> Samples:
    """The callable that gives charts the times of single calls."""
    by_key = {c.key: c for c in run.head.plan.cells}
    return lambda m: sample_launches(by_key[m.cell], launches=len(m.launches))


def unstyled(line: str) -> str:
    """A line of the terminal without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


def page_of(run: RunRecord, samples: Samples | None = None) -> str:
    """The page of a run with all its charts."""
    return render_page(run, charts(run, samples or samples_of(run)))


def _launch(index: int, samples: list[int]) -> LaunchSummary:
    return LaunchSummary(
        index=index,
        reply_sha256="0" * 64,
        median_ns=sorted(samples)[len(samples) // 2],
        calls=len(samples),
        first_ns=400_000,
        load_ns=1_300_000,
        steady_state="flat",
    )


def _empty(cell: Cell) -> Measurement:
    return Measurement(
        cell=cell.key,
        status=CellStatus.PENDING,
        started_at="2026-11-23T01:42:00Z",
        ended_at="2026-11-23T01:42:01Z",
    )
