"""Each claim as a function of the number of worlds to try: what is counted, and the value it should have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.stats.groups import group_span
from harness.stats.launches import launch_interval
from harness.stats.screening import judge_night, screen
from harness.stats.sessions import paired_span
from harness.stats.steady import SteadyState, find_steady
from harness.stats.verdicts import Verdict, decide, log_margin, needs_more
from tests.simulation.launches import means_covered
from tests.simulation.world import Floats, Spread, launch, night, pair_ratio

MARGIN = log_margin(0.03)
PAIRS, MOST_PAIRS, PAIR_NOISE = 10, 20, 0.02
NIGHTS = 120
STEP_NIGHT = 60

# Draws ln(B / A) of the pair with that number.
Pair = Callable[[np.random.Generator, int], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """``figure`` computes the value from a number of worlds; it must lie between ``low`` and ``high``."""

    what: str
    low: float
    high: float
    figure: Callable[[int], float]
    short: int
    long: int


def coverage(worlds: int, *, launches: int = 5, calls: int = 100) -> float:
    """Share of cells whose 95 % interval contains the truth."""
    spread, chance = Spread(), np.random.default_rng(100 + launches)
    truth = _long_run_median(spread)
    hits = 0
    for _ in range(worlds):
        medians = [float(np.median(launch(chance, calls, spread))) for _ in range(launches)]
        found = launch_interval(medians)
        hits += found is not None and found.low_ns <= truth <= found.high_ns
    return hits / worlds


def coverage_of_calls(worlds: int) -> float:
    """The same for a bootstrap over the calls of one launch, which phonebench does not use."""
    spread, chance = Spread(), np.random.default_rng(1)
    truth, hits = _long_run_median(spread), 0
    for _ in range(worlds):
        calls = launch(chance, 1000, spread)
        medians = np.median(calls[chance.integers(0, 1000, (200, 1000))], axis=1)
        hits += bool(np.quantile(medians, 0.025) <= truth <= np.quantile(medians, 0.975))
    return hits / worlds


def called(worlds: int, *, effect: float, most: int = PAIRS) -> float:
    """Share of sessions that call a difference (regressed or improved) after ``PAIRS`` pairs, or up to ``most``."""
    chance = np.random.default_rng(200 + round(1000 * effect))
    return (
        sum(session(chance, warming(effect), most=most) in (Verdict.REGRESSED, Verdict.IMPROVED) for _ in range(worlds))
        / worlds
    )


def excludes_zero(worlds: int, *, effect: float) -> float:
    """Share of sessions whose interval excludes 0 at either look, whatever the margin."""
    chance = np.random.default_rng(300 + round(1000 * effect))
    hits = 0
    for _ in range(worlds):
        ratios = [pair_ratio(chance, p, effect=effect, noise=PAIR_NOISE) for p in range(MOST_PAIRS)]
        looks = [paired_span(ratios[:count]) for count in (PAIRS, MOST_PAIRS)]
        hits += any(look is not None and (look.low > 0 or look.high < 0) for look in looks)
    return hits / worlds


def two_runs_called(worlds: int) -> float:
    """Share of comparisons of two equal runs, of five launches each, that call a difference."""
    chance, spread, hits = np.random.default_rng(5), Spread(), 0
    for _ in range(worlds):
        sides = [[float(np.log(np.median(launch(chance, 100, spread)))) for _ in range(5)] for _ in range(2)]
        effect = group_span(*sides)
        hits += effect is not None and decide(effect, MARGIN) in (Verdict.REGRESSED, Verdict.IMPROVED)
    return hits / worlds


def throttled_flagged(worlds: int) -> float:
    """Share of launches that are flagged, all being 20 % slower from call 450 of 600."""
    return _flagged(worlds, throttled=True)


def flat_flagged(worlds: int) -> float:
    """Share of flat launches flagged."""
    return _flagged(worlds, throttled=False)


def false_candidates(worlds: int, *, bad: float) -> float:
    """Candidates of the screen and the gate together per 1,000 series-nights on which nothing changed."""
    found = [_series(np.random.default_rng(seed), bad=bad) for seed in range(worlds)]
    return 1000 * sum(len(s.screened) + len(s.gated) for s in found) / (worlds * NIGHTS)


def false_alarms(worlds: int, *, bad: float = 0.05) -> float:
    """Alarms per 10,000 series-nights that pass a confirmation by pairs."""
    alarms = 0
    for seed in range(worlds):
        chance = np.random.default_rng([7, seed])
        found = _series(np.random.default_rng(seed), bad=bad)
        for _ in (*found.screened, *found.gated):
            alarms += session(chance, warming(0.0)) in (Verdict.REGRESSED, Verdict.IMPROVED)
    return 10_000 * alarms / (worlds * NIGHTS)


def nights_to_find(worlds: int, *, step: float) -> float:
    """Median number of nights from a step to its candidate; 1 is the first slow night, 99 means not found."""
    return float(np.median([_delay(seed, step) for seed in range(worlds)]))


def same_night(worlds: int, *, step: float) -> float:
    """Share of steps that are a candidate on their first night."""
    return sum(_delay(seed, step) == 1 for seed in range(worlds)) / worlds


@dataclass(slots=True, kw_only=True)
class _Series:
    """The nights on which the screen and the gate found a candidate."""

    screened: list[int]
    gated: list[int]


def _long_run_median(spread: Spread) -> float:
    chance = np.random.default_rng(0)
    return float(np.median(np.concatenate([launch(chance, 400, spread) for _ in range(1500)])))


def session(chance: np.random.Generator, pair: Pair, *, most: int = MOST_PAIRS) -> Verdict:
    """Return the verdict of a session: a look at ten pairs, and at ``most`` while undecided.

    ``pair`` draws ln(B / A) of the pair with that number.
    """
    ratios: list[float] = []
    verdict = Verdict.UNDECIDED
    for count in dict.fromkeys((PAIRS, most)):
        ratios += [pair(chance, number) for number in range(len(ratios), count)]
        paired = paired_span(ratios)
        assert paired is not None
        verdict = decide(paired, MARGIN)
        if not needs_more(paired, MARGIN):
            break
    return verdict


def warming(effect: float) -> Pair:
    """Pairs of a device that warms up during the session."""
    return lambda chance, number: pair_ratio(chance, number, effect=effect, noise=PAIR_NOISE)


def _flagged(worlds: int, *, throttled: bool) -> float:
    chance, hits = np.random.default_rng(9), 0
    for _ in range(worlds):
        calls = _steady_launch(chance)
        calls[450:] *= 1.2 if throttled else 1.0
        state = find_steady([round(c) for c in calls]).state
        hits += state in (SteadyState.SLOWDOWN, SteadyState.NO_STEADY_STATE)
    return hits / worlds


def _steady_launch(chance: np.random.Generator) -> Floats:
    return launch(chance, 600, Spread(between=0.0, correlation=0.3))


def _series(chance: np.random.Generator, *, bad: float, step: float = 0.0, nights: int = NIGHTS) -> _Series:
    """One series as the nightly job treats it: measure, judge, measure again if asked, screen; confirm nothing.

    Its file is new every night, so a step of one night needs no second night.
    """
    segment: list[float] = []
    refuted: list[int] = []
    found = _Series(screened=[], gated=[])
    for index in range(nights):
        level = 1.0 + (step if index >= STEP_NIGHT else 0.0)
        measured = [night(chance, level, bad=bad)]
        while (judged := judge_night(segment, measured)).again:
            measured.append(night(chance, level, bad=bad))
        if judged.step is not None:
            found.gated.append(index)
        segment.append(judged.value)
        candidate = screen(segment, refuted=refuted)
        if candidate is not None:
            found.screened.append(index)
            refuted.append(candidate.index)
    return found


def _delay(seed: int, step: float) -> int:
    found = _series(np.random.default_rng(seed), bad=0.0, step=step, nights=STEP_NIGHT + 30)
    hits = [index for index in (*found.screened, *found.gated) if index >= STEP_NIGHT]
    return min(hits) - STEP_NIGHT + 1 if hits else 99


CLAIMS: dict[str, Claim] = {
    "coverage-5": Claim(
        what="95 % intervals over 5 launches that contain the truth",
        low=0.94, high=0.98, figure=coverage, short=400, long=2000,
    ),
    "coverage-10": Claim(
        what="95 % intervals over 10 launches that contain the truth",
        low=0.94, high=0.98, figure=lambda n: coverage(n, launches=10), short=300, long=2000,
    ),
    "coverage-calls": Claim(
        what="the same by a bootstrap over 1,000 calls of one launch (not used)",
        low=0.0, high=0.2, figure=coverage_of_calls, short=60, long=400,
    ),
    "coverage-means": Claim(
        what="the same by a t interval about the geometric mean, where launches have a Pareto tail (not used)",
        low=0.0, high=0.88, figure=lambda n: means_covered("Pareto tail, α 3", n), short=100, long=2000,
    ),
    "aa-called": Claim(
        what="A/A sessions under 8 % drift that call a difference",
        low=0.0, high=0.05, figure=lambda n: called(n, effect=0.0), short=400, long=4000,
    ),
    "aa-twenty": Claim(
        what="the same with the extension to 20 pairs",
        low=0.0, high=0.05, figure=lambda n: called(n, effect=0.0, most=MOST_PAIRS), short=400, long=4000,
    ),
    "aa-zero": Claim(
        what="A/A sessions with an interval that excludes 0 at 10 or 20 pairs",
        low=0.02, high=0.07, figure=lambda n: excludes_zero(n, effect=0.0), short=400, long=4000,
    ),
    "three-percent": Claim(
        what="sessions of 10 pairs at 2 % noise that call a 3 % effect",
        low=0.90, high=1.0, figure=lambda n: called(n, effect=0.03), short=400, long=4000,
    ),
    "one-percent": Claim(
        what="sessions up to 20 pairs that call a 1 % effect, which does not matter",
        low=0.0, high=0.15, figure=lambda n: called(n, effect=0.01, most=MOST_PAIRS), short=300, long=4000,
    ),
    "two-percent": Claim(
        what="sessions up to 20 pairs that call a 2 % effect, which is near the margin",
        low=0.2, high=0.8, figure=lambda n: called(n, effect=0.02, most=MOST_PAIRS), short=300, long=4000,
    ),
    "two-runs": Claim(
        what="comparisons of two equal runs of 5 launches that call a difference",
        low=0.0, high=0.07, figure=two_runs_called, short=300, long=2000,
    ),
    "throttled": Claim(
        what="launches flagged that slow by 20 % from call 450 of 600 on",
        low=0.99, high=1.0, figure=throttled_flagged, short=200, long=2000,
    ),
    "flat": Claim(
        what="flat launches flagged",
        low=0.0, high=0.01, figure=flat_flagged, short=300, long=2000,
    ),
    "clean-nights": Claim(
        what="false candidates in 1,000 series-nights of clean noise",
        low=0.0, high=1.5, figure=lambda n: false_candidates(n, bad=0.0), short=60, long=1000,
    ),
    "bad-nights": Claim(
        what="the same with 5 % outlying nights",
        low=0.0, high=2.0, figure=lambda n: false_candidates(n, bad=0.05), short=60, long=500,
    ),
    "ten-percent-step": Claim(
        what="nights until a 10 % step at 3 % noise is a candidate, median",
        low=1, high=7, figure=lambda n: nights_to_find(n, step=0.10), short=40, long=400,
    ),
    "twenty-percent-step": Claim(
        what="20 % steps that are a candidate the same night",
        low=0.9, high=1.0, figure=lambda n: same_night(n, step=0.20), short=60, long=400,
    ),
    "false-alarms": Claim(
        what="false alarms in 10,000 series-nights after the confirmation",
        low=0.0, high=1.0, figure=false_alarms, short=84, long=500,
    ),
}  # fmt: skip
