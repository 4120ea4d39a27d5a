"""Runs of any size: several models on several phones, with the reply of every launch stored as in a real run."""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.measure.job import Keeper
from harness.plan.cells import Cell, Plan, make_cell
from harness.records.conditions import Condition, ConditionId
from harness.records.device import Readiness
from harness.records.measurement import CellStatus, GateFacts, GateOutcome, LaunchSummary, Measurement
from harness.records.operators import Operator, OperatorProfile
from harness.report.evidence import LaunchEvidence
from harness.report.files import write_report
from harness.report.formats.html import render_page
from harness.spec.profiles import ProfileName
from harness.spec.shorthand import parse_recipe
from harness.spec.spec import Spec
from harness.store.records import RunRecord
from harness.store.writer import create_run
from harness.wire import (
    DeviceStates,
    LatencySamples,
    LoadTimes,
    ReplyStatus,
    RunnerInfo,
    RunReply,
    StateSample,
    encode,
)
from tests.report.builders import DELEGATE, FACTS, PHONE, accuracy_of, broken, failed, latency_of, make_run, measurement
from tests.report.wide import SHORT, like

WARM = Condition(id=ConditionId.THERMAL, summary="the phone was warm: thermal status LIGHT", detail="39.5 °C")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large a run is: cells = models × phones × variants × four formats × thread counts."""

    models: int = 1
    phones: int = 1
    variants: int = len(SHORT)
    threads: tuple[int, ...] = (1,)
    launches: int = 3
    calls: int = 300

    @property
    def cells(self) -> int:
        return self.models * self.phones * self.variants * len(DELEGATE) * len(self.threads)


def store_large_run(root: Path, shape: Shape) -> RunRecord:
    """Write a run of ``shape`` below ``root``; of 29 cells about one failed, one is broken, one was warm."""
    planned = planned_cells(shape)
    models = tuple(dict.fromkeys(cell.model for cell in planned))
    phones = tuple(dict.fromkeys(cell.device for cell in planned))
    head = make_run(planned, ()).head
    head = replace(
        head,
        spec=Spec(model=models, device=phones, variant=SHORT[: shape.variants], threads=shape.threads),
        plan=Plan(cells=planned, holes=()),
        models=tuple(replace(FACTS, name=model) for model in models),
        devices=tuple(replace(PHONE, key=key, model=f"Phone {i}") for i, key in enumerate(phones, 1)),
        finished_at=None,
    )
    with create_run(root, head) as writer:
        for number, cell in enumerate(planned):
            writer.add(_measured(writer, cell, number, shape))
        writer.update(finished_at="2026-11-23T02:43:40Z")
        return writer.record()


class Unstored:
    """Counts what it is given, in the place of a writer."""

    def __init__(self) -> None:
        self.kept = 0

    def keep(self, data: bytes, suffix: str) -> str:  # noqa: ARG002
        """Return a digest that nothing else has."""
        self.kept += 1
        return f"{self.kept:064x}"


def large_page(shape: Shape) -> str:
    """The page of a run of ``shape`` without charts, made without a disk; every launch has calls of its own."""
    planned, keeper = planned_cells(shape), Unstored()
    measured = tuple(_measured(keeper, cell, number, shape) for number, cell in enumerate(planned))
    run = make_run(planned, measured)
    head = replace(run.head, spec=Spec(model=("digits",), device=(PHONE.key,), variant=SHORT[: shape.variants]))
    return render_page(replace(run, head=head), (), evidence=_made_up)


def _made_up(measurement: Measurement) -> tuple[LaunchEvidence, ...]:
    rng = np.random.default_rng(hash_of(measurement.cell))
    level = measurement.latency.median_ns if measurement.latency else 1e6
    return tuple(
        LaunchEvidence(
            index=launch.index,
            warmup_ns=rng.normal(3 * level, level / 10, 3).astype(np.int64),
            steady_ns=rng.normal(level, level / 50, 200).astype(np.int64),
        )
        for launch in measurement.launches
    )


def planned_cells(shape: Shape) -> tuple[Cell, ...]:
    """The cells of ``shape``, model by model and phone by phone."""
    names = ["digits", *(f"net{i}" for i in range(1, shape.models))]
    phones = [PHONE.key, *(f"android:P{i}" for i in range(1, shape.phones))]
    return tuple(
        make_cell(model, parse_recipe(variant).name, format_, delegate, threads, phone, ProfileName.STANDARD)
        for model in names
        for phone in phones
        for variant in SHORT[: shape.variants]
        for format_, delegate in DELEGATE.items()
        for threads in shape.threads
    )


def _measured(writer: Keeper, cell: Cell, number: int, shape: Shape) -> Measurement:
    if number % 29 == 7:
        return failed(cell)
    if number % 29 == 19:
        return broken(cell)
    rng = random.Random(cell.key)
    plain = measurement(like(cell), launches=1)
    assert plain.latency is not None
    # Threads help less than in proportion; models and phones differ by up to a factor of a hundred.
    level = (
        plain.latency.median_ns
        * 2 ** (hash_of(cell.model) % 6)
        * (1 + hash_of(cell.device) % 3)
        / (cell.threads or 1) ** 0.6
    )
    if "prune" in cell.variant:
        level *= 0.55
    calls = [_calls(rng, level, shape.calls) for _ in range(shape.launches)]
    launches = tuple(_launch(writer, cell, i, samples, rng) for i, samples in enumerate(calls))
    conditions = (WARM,) if number % 29 == 3 else ()
    correct = 300 if hash_of(cell.variant + cell.format.value) % 7 == 5 else 355
    return replace(
        plain,
        cell=cell.key,
        status=CellStatus.OK,
        launches=launches,
        latency=latency_of(calls),
        accuracy=accuracy_of(correct),
        conditions=conditions,
        operators=profile_of(calls[0][0]),
    )


def profile_of(call_ns: int) -> OperatorProfile:
    """Four convolutions, one of them left to the runtime's own kernels."""
    return OperatorProfile(
        source="a made-up profiler 1.0",
        calls=10,
        operators=tuple(
            Operator(
                name=f"conv_{i}",
                kind="convolution",
                calls=10,
                total_ns=10 * call_ns // (i + 2),
                ran_on="xnnpack" if i else "cpu",
                delegated=bool(i),
                reason="" if i else "its padding is not supported",
            )
            for i in range(4)
        ),
    )


def hash_of(name: str) -> int:
    """A small number that depends on the name alone."""
    return sum(map(ord, name))


def _calls(rng: random.Random, level: float, count: int) -> list[int]:
    level *= rng.gauss(1, 0.02)
    return [int(level * (1 + rng.expovariate(30) + (rng.random() < 0.006) * 2)) for _ in range(count)]


def _launch(writer: Keeper, cell: Cell, index: int, calls: list[int], rng: random.Random) -> LaunchSummary:
    plain = measurement(like(cell), launches=1)
    states = [
        StateSample(
            at_ns=10**9 * i,
            thermal_status="none" if i < 6 else "light",
            temperatures_c={"skin": 31 + 0.6 * i + rng.random()},
            cpu_khz=(1_700_000, 2_400_000 if i < 6 else 1_900_000),
        )
        for i in range(8)
    ]
    reply = RunReply(
        cell=cell.key,
        launch=index,
        status=ReplyStatus.OK,
        runner=RunnerInfo(kind="android-app", version="0.1.0"),
        runtime=plain.runtime,
        load=LoadTimes(first_ns=1_300_000),
        latency=LatencySamples(
            first_ns=calls[0] * 4, warmup_ns=tuple(calls[i] * (3 - i) for i in range(3)), samples_ns=tuple(calls)
        ),
        memory=plain.memory,
        state=DeviceStates(before=states[0], after=states[-1], series=tuple(states)),
    )
    return LaunchSummary(
        index=index,
        reply_sha256=writer.keep(encode(reply), ".json"),
        median_ns=sorted(calls)[len(calls) // 2],
        calls=len(calls),
        first_ns=calls[0] * 4,
        load_ns=1_300_000,
        steady_state="flat",
        gate=GateFacts(
            outcome=GateOutcome.OPEN,
            waited_s=2.5,
            before=Readiness(
                thermal_status="none", battery_c=29.5, battery_percent=80, hottest_c=33.0, probe_ns=910_000
            ),
            after=Readiness(
                thermal_status="light", battery_c=31.0, battery_percent=79, hottest_c=38.4, probe_ns=950_000
            ),
        ),
    )


def measure_page(root: Path, shape: Shape) -> str:
    """Store a run of ``shape`` and write its report; return the cells, the processor time and the size of the page."""
    run = store_large_run(root, shape)
    began = time.process_time()
    page = write_report(run).html
    spent = time.process_time() - began
    return f"{shape.cells} cells: {spent:.1f} s of processor time, {page.stat().st_size / 1e6:.1f} MB, {page}"


# python -m tests.report.large FOLDER measures the two sizes that the page is made for.
if __name__ == "__main__":
    for name, size in (("some", Shape(threads=(1, 2, 4, 8))), ("many", Shape(models=15, phones=4, calls=200))):
        print(measure_page(Path(sys.argv[1]) / name, size))
