"""The session of pairs on a scripted device: order, checkpoints, and blocks that throttled."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from harness.devices.device import Execution
from harness.measure.gate import Gate
from harness.measure.job import Job
from harness.measure.pairs import (
    PairPlan,
    PairResult,
    PairSession,
    SideFailedError,
    is_open,
    run_pairs,
    summarise_pairs,
)
from harness.spec.profiles import PROFILES, ProfileName
from harness.stats.verdicts import Verdict
from harness.wire import RunRequest
from harness.workflows.ab.chain import ABRecord
from harness.workflows.ab.words import sentences
from tests.measure.cells import SLOWED, Kept, Scripted, bad, job, ok


class TwoSides(Scripted):
    """Takes 1,000 ns for side A and ``b_ns`` for side B, with ``drift`` per block and with ``noise``."""

    def __init__(self, b_ns: float, *, drift: float = 0.0, noise: float = 0.0) -> None:
        super().__init__(ok())
        self._b_ns, self._drift, self._noise = b_ns, drift, noise
        self._chance = random.Random(4)
        self.order = ""

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        side = request.cell[-1]
        level = (self._b_ns if side == "b" else 100_000) * (1 + self._drift * len(self.order))
        level *= 1 + self._chance.gauss(0, self._noise)
        self.order += side.upper()
        self._plays = (ok((round(level),) * 200),)
        return super().execute(request, inputs, deadline_s)


def two(folder: Path) -> tuple[Job, Job]:
    made = job(folder)
    a, b = (replace(made, cell=replace(made.cell, key=f"tiny-side-{side}")) for side in "ab")
    return a, b


def session(folder: Path, device: Scripted, plan: PairPlan | None = None) -> PairSession:
    return run_pairs(two(folder), Gate(device), Kept(), plan or PairPlan())


@pytest.mark.parametrize(
    ("b_ns", "verdict"),
    [
        (100_000, Verdict.EQUIVALENT),
        (110_000, Verdict.REGRESSED),
        (90_000, Verdict.IMPROVED),
        (101_000, Verdict.EQUIVALENT),
    ],
)
def test_a_clear_case_takes_ten_pairs(tmp_path: Path, b_ns: int, verdict: Verdict) -> None:
    found = session(tmp_path, TwoSides(b_ns, noise=0.005))
    assert (found.verdict, len(found.pairs), found.pairs_to_decide) == (verdict, 10, None)
    assert found.ratio == pytest.approx(b_ns / 100_000, abs=0.01)


def test_drift_is_not_mistaken_for_a_difference(tmp_path: Path) -> None:
    found = session(tmp_path, TwoSides(100_000, drift=0.004))
    assert found.verdict in (Verdict.EQUIVALENT, Verdict.UNDECIDED)


def test_noise_doubles_the_pairs_and_is_then_reported(tmp_path: Path) -> None:
    found = session(tmp_path, TwoSides(103_000, noise=0.15))
    assert len(found.pairs) == 20
    assert found.verdict is Verdict.UNDECIDED
    assert (found.pairs_to_decide or 0) > 20


def test_the_order_within_pairs_is_random_and_reproducible(tmp_path: Path) -> None:
    devices = [TwoSides(100_000) for _ in range(3)]
    found = [session(tmp_path, d, PairPlan(seed=s)) for d, s in zip(devices, (1, 1, 2), strict=True)]
    assert devices[0].order == devices[1].order == "".join(p.order for p in found[0].pairs)
    assert devices[0].order != devices[2].order
    assert {p.order for p in found[0].pairs} == {"AB", "BA"}


def test_a_block_that_throttled_is_tried_again(tmp_path: Path) -> None:
    device = Scripted(ok(), ok(SLOWED), ok())
    found = session(tmp_path, device, PairPlan(pairs=2, most_pairs=2))
    assert [p.dropped for p in found.pairs] == [None, None]
    assert len(device.requests) == 5


def test_pairs_with_a_throttled_block_are_dropped_and_the_session_ends(tmp_path: Path) -> None:
    found = session(tmp_path, Scripted(ok(SLOWED)), PairPlan(pairs=3, most_pairs=3, spare=2))
    assert [p.log_ratio for p in found.pairs] == [None] * 5
    assert (found.verdict, found.effect) == (Verdict.UNDECIDED, None)
    assert "5 of 5 pairs were dropped" in (found.reason or "")


def test_a_failing_side_ends_the_session(tmp_path: Path) -> None:
    with pytest.raises(SideFailedError):
        session(tmp_path, Scripted(ok(), bad()))


def test_the_same_stored_pairs_have_the_same_verdict(tmp_path: Path) -> None:
    found = session(tmp_path, TwoSides(104_000, noise=0.02))
    assert summarise_pairs(list(found.pairs), PairPlan()) == found


def test_one_pair_decides_nothing() -> None:
    one = PairResult(order="AB", a_ns=1.0, b_ns=2.0, log_ratio=0.69)
    assert summarise_pairs([one], PairPlan()).verdict is Verdict.UNDECIDED


def pairs_of(ratios: list[float], disturbed: str = "") -> list[PairResult]:
    """Good pairs with these ratios, then one lost pair for each letter of ``disturbed``."""
    good = [PairResult(order="AB", a_ns=1e7, b_ns=1e7 * r, log_ratio=math.log(r)) for r in ratios]
    lost = [
        PairResult(order="AB", a_ns=1e7, b_ns=1e7, log_ratio=None, dropped=f"{side}: slowdown", disturbed=side)
        for side in disturbed
    ]
    return good + lost


EQUAL = [1.0 + 0.001 * (i % 5 - 2) for i in range(10)]


def test_one_bad_block_does_not_change_the_ratio() -> None:
    assert summarise_pairs(pairs_of([*EQUAL, 1.5]), PairPlan()).ratio == pytest.approx(1.0, abs=0.002)


def test_a_side_that_throttles_is_not_equivalent_to_one_that_does_not() -> None:
    found = summarise_pairs(pairs_of(EQUAL, "BBBBBBB"), PairPlan())
    assert found.verdict is Verdict.UNDECIDED
    assert "B was disturbed in 7 of 17 blocks and A in 0" in (found.reason or "")


def test_both_sides_throttling_alike_leave_a_verdict() -> None:
    assert summarise_pairs(pairs_of(EQUAL, "ABABAB"), PairPlan()).verdict is Verdict.EQUIVALENT


def test_a_session_that_must_be_sure_ends_early_only_if_it_is() -> None:
    slower, sure = [1.1 * r for r in EQUAL], PairPlan(sure=0.9999)
    assert not is_open(pairs_of(slower), PairPlan())
    # Ten pairs that all agree have a two-sided p-value of 2 / 1,024; twenty have one of 2 / 2^20.
    assert is_open(pairs_of(slower), sure)
    assert not is_open(pairs_of(slower * 2), sure)
    assert not is_open(pairs_of(EQUAL), sure)


def test_a_side_that_runs_at_two_speeds_is_named() -> None:
    ratios = [r * (1.3 if i % 3 == 0 else 1.0) for i, r in enumerate(EQUAL)]
    session = summarise_pairs(pairs_of(ratios), PairPlan())
    said = sentences(ABRecord(a="a", b="b", cell_a="a", cell_b="b", session=session))
    assert said[-1] == "the blocks of B ran at 2 speeds: 10 ms in 6 launches, 13 ms in 4"
    assert said[0].startswith("undecided")


def test_six_good_pairs_are_too_few() -> None:
    found = summarise_pairs(pairs_of([1.2] * 6), PairPlan())
    assert (found.verdict, found.ratio) == (Verdict.UNDECIDED, None)


@pytest.mark.parametrize(
    ("profile", "idle_s", "load_s"), [(ProfileName.STANDARD, None, 1), (ProfileName.ENERGY, 40, 40)]
)
def test_only_blocks_about_energy_are_long_and_begin_idle(
    tmp_path: Path, profile: ProfileName, idle_s: int | None, load_s: int
) -> None:
    device = TwoSides(100_000)
    a, b = (replace(one, profile=PROFILES[profile]) for one in two(tmp_path))
    run_pairs((a, b), Gate(device), Kept(), PairPlan())
    energy, latency = device.requests[0].passes.energy, device.requests[0].passes.latency
    assert (energy.idle_ns // 10**9 if energy else None) == idle_s
    assert latency is not None
    assert latency.measure.min_ns == load_s * 10**9
