"""What the nightly job does in worlds with a known truth: every world, good and bad, and the limits it must keep.

``make simulate ARGS=nights`` prints the table of ``docs/history.md``; the names of worlds print a part of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from tests.simulation.claims import Claim
from tests.simulation.farm import NIGHTS, OWN_SHIFT_NIGHT, Farm, Files, Played, World
from tests.simulation.world import CHANGE_NIGHT

# A step counts as reported if that happens within this many nights.
WITHIN = 30
Z = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A world and what is counted in it. ``null``: no file changes its speed, so every report is a false alarm."""

    what: str
    world: World
    null: bool = False
    within: int = WITHIN
    # The least share of changed series that are reported, and that are reported on the very night; None for no promise.
    found: float | None = None
    same_night: float | None = None
    long: int = 12


NULL = World(series=20, slow=0)
STEP = World(step=0.10, nights=CHANGE_NIGHT + WITHIN)
GOAL = 0.97


def _null(what: str, **facts: Any) -> Case:
    return Case(what=what, world=replace(NULL, **facts), null=True)


def _step(
    what: str, *, found: float | None = GOAL, at_once: float | None = GOAL, long: int = 200, **facts: Any
) -> Case:
    return Case(what=what, world=replace(STEP, **facts), found=found, same_night=at_once, long=long)


CASES: dict[str, Case] = {
    # Nothing changes its speed in these.
    "null-clean": _null("clean nights"),
    "null-same-file": _null("clean nights, the file never changes", files=Files.NEVER),
    "null-one-file": _null("one file change that costs nothing", files=Files.ONCE, slow=20),
    "null-outlying": _null("5 % of measurements 10 to 20 % slow", bad=0.05),
    "null-bad-own": _null("5 % of a series' nights 10 to 20 % slow", bad_own=0.05),
    "null-bad-own-10": _null("10 % of a series' nights 10 to 20 % slow", bad_own=0.10),
    "null-bad-nights": _null("5 % of the phone's nights 10 to 20 % slow", bad_nights=0.05),
    "null-ar5": _null("nights correlated by 0.5", correlation=0.5),
    "null-ar8": _null("nights correlated by 0.8", correlation=0.8),
    "null-phone-ar8": _null("the phone's nights vary by 3 %, correlated by 0.8", shared=0.03, correlation=0.8),
    "null-weekend": _null("weekends 5 % slow", weekend=0.05),
    "null-missing": _null("20 % of values missing", missing=0.2),
    "null-tails": _null("heavy-tailed nights (t with 2 degrees)", tails=True),
    "null-pairs-6": _null("pairs vary by 6 %", pair_noise=0.06),
    "null-pairs-12": _null("pairs vary by 12 %", pair_noise=0.12),
    "null-pair-tails": _null("heavy-tailed pairs (t with 2 degrees, 3 %)", pair_noise=0.03, pair_tails=True),
    "null-drift": _null("the phone slows by 0.1 % a night, same file", files=Files.NEVER, own_creep=0.001),
    "null-common": _null("all series 8 % slower from one night on", common=0.08),
    "null-common-same-file": _null("the same, the file never changes", common=0.08, files=Files.NEVER),
    "null-common-build": _null("the same, with a new system build", common=0.08, build=True),
    "null-pinned": _null("clean nights, with --baseline", pinned=True),
    # A file becomes 10 % slower in these.
    "step": _step("10 % step, new file every night"),
    "step-once": _step("the same, one file change", files=Files.ONCE),
    "step-night-2": _step("the same, on the second night", change=1, nights=WITHIN + 1),
    "step-outlying": _step("the same, 5 % of measurements outlying", bad=0.05),
    "step-bad-own": _step("the same, 5 % of nights bad", bad_own=0.05),
    "step-ar8": _step("the same, nights correlated by 0.8", correlation=0.8),
    # Where the night of the change is missing, it is reported on the next one.
    "step-missing": _step("the same, 20 % of values missing", missing=0.2, at_once=None),
    "step-tails": _step("the same, heavy-tailed nights", tails=True),
    "step-pairs-6": _step("the same, pairs vary by 6 %", pair_noise=0.06, at_once=None),
    "step-pairs-12": _step("the same, pairs vary by 12 %", pair_noise=0.12, at_once=None),
    "step-pair-tails": _step("the same, heavy-tailed pairs (t, 3 %)", pair_noise=0.03, pair_tails=True, at_once=None),
    "step-after-shift": _step("the same, 15 nights after the phone became 8 % slower", own_shift=0.08),
    "step-farm": _step("2 of 20 series, all files new every night", series=20, slow=2, long=40),
    "step-in-shift": _step(
        "2 of 20 series, on the night all became 8 % slower",
        series=20,
        slow=2,
        common=0.08,
        change=OWN_SHIFT_NIGHT,
        long=40,
    ),
    "step-common-file": _step("all 20 files of a phone", series=20, slow=20, found=None, at_once=None, long=10),
    "recovery": _step("the same, taken back after ten nights", until=CHANGE_NIGHT + 10, files=Files.ONCE),
    "step-5": _step("5 % step, new file every night", step=0.05),
    "step-3": _step("3 % step, new file every night", step=0.03, found=None, at_once=None),
    "creep": Case(what="0.1 % a night, without a baseline", world=World(creep=0.001), within=NIGHTS, long=100),
    "creep-pinned": Case(
        what="0.1 % a night, with --baseline",
        world=World(creep=0.001, pinned=True),
        within=NIGHTS,
        found=GOAL,
        long=100,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What was counted in ``farms`` farms of a case; ``changed`` series changed, ``values`` were measured."""

    case: Case
    farms: tuple[Played, ...]

    @property
    def values(self) -> int:
        return sum(farm.values for farm in self.farms)

    @property
    def false_alarms(self) -> int:
        """Reports of a change where the file had none, in either direction."""
        return sum(not self._is_true(n, k) for farm in self.farms for n, k in (*farm.regressions, *farm.improvements))

    @property
    def changed(self) -> int:
        return len(self.farms) * self.case.world.slow

    def reported(self, within: int) -> int:
        """Changed series that were reported as worse within so many nights of the change."""
        first = self._begin
        return sum(
            any(k == number and first <= night < first + within for night, k in farm.regressions)
            for farm in self.farms
            for number in range(self.case.world.slow)
        )

    @property
    def reports(self) -> int:
        """How often changed series were reported as worse."""
        return sum(self._is_true(n, k) for farm in self.farms for n, k in farm.regressions)

    @property
    def causes(self) -> float:
        """Common shifts reported per farm, each counted once."""
        return sum(len({since for _, since in farm.causes}) for farm in self.farms) / len(self.farms)

    @property
    def sessions(self) -> float:
        """Side-by-side sessions per farm and night."""
        return sum(len(farm.sessions) for farm in self.farms) / len(self.farms) / self.case.world.nights

    @property
    def _begin(self) -> int:
        return 0 if self.case.world.creep else self.case.world.change

    def _is_true(self, night: int, number: int) -> bool:
        return not self.case.null and number < self.case.world.slow and night >= self._begin


@lru_cache(maxsize=128)
def score(name: str, farms: int) -> Score:
    """Play a case; 0 farms are one small one, for the short form."""
    case = CASES[name]
    if not farms:
        return Score(case=case, farms=(Farm(replace(case.world, series=6, nights=80), 0).play(),))
    return Score(case=case, farms=tuple(Farm(case.world, seed).play() for seed in range(farms)))


def half_width(hits: int, count: int) -> float:
    """The 95 % binomial half-width of a share (Agresti and Coull 1998), which is not 0 at the ends."""
    share = (hits + Z**2 / 2) / (count + Z**2)
    return Z * math.sqrt(share * (1 - share) / (count + Z**2))


def table_row(name: str, farms: int) -> str:
    """One row of the table: what, false alarms per 10,000, found, the same night, sessions, common shifts."""
    one = score(name, farms)
    case, values = one.case, one.values
    alarms = 10_000 * one.false_alarms / values
    width = 10_000 * half_width(one.false_alarms, values)
    found = same = "–"
    if not case.null:
        hits, first, count = one.reported(case.within), one.reported(1), one.changed
        found = f"{100 * hits / count:.0f} ± {100 * half_width(hits, count):.0f} %"
        same = f"{100 * first / count:.0f} ± {100 * half_width(first, count):.0f} %"
    cells = (case.what, f"{alarms:.1f} ± {width:.1f}", found, same, f"{one.sessions:.1f}", f"{one.causes:.1f}")
    return f"| {' | '.join(cells)} |"


def _limit(name: str, figure: Callable[[Score], float], limits: tuple[float, float], what: str) -> Claim:
    case = CASES[name]
    return Claim(
        what=f"job: {what}: {case.what}",
        low=limits[0],
        high=limits[1],
        figure=lambda farms: figure(score(name, farms)),
        short=SHORT.get(name, 0 if case.null else 1 if case.world.series > 1 else 12),
        long=case.long,
    )


# Farms of the short form. What the table needs many farms for is checked there.
SHORT = {"creep-pinned": 6, "null-common": 1, "null-common-build": 1}


def _claims() -> dict[str, Claim]:
    claims: dict[str, Claim] = {}
    for name, case in CASES.items():
        if case.null:
            claims[name] = _limit(
                name, lambda s: 10_000 * s.false_alarms / s.values, (0, 1.0), "false alarms in 10,000 series-nights"
            )
        if case.found is not None:
            found = case.found
            claims[name] = _limit(
                name, lambda s: s.reported(s.case.within) / s.changed, (found, 1.0), "changes that are reported"
            )
        if case.same_night is not None:
            claims[f"{name}-at-once"] = _limit(
                name, lambda s: s.reported(1) / s.changed, (case.same_night, 1.0), "changes reported the same night"
            )
    claims["common-told-once"] = _limit("null-common", lambda s: s.causes, (1, 1), "causes reported")
    claims["common-told-once-build"] = _limit("null-common-build", lambda s: s.causes, (1, 1), "causes reported")
    claims["no-cause-clean"] = _limit("null-clean", lambda s: s.causes, (0, 0), "causes reported")
    claims["no-cause-ar8"] = _limit("null-ar8", lambda s: s.causes, (0, 0), "causes reported")
    claims["step-once-told-once"] = _limit(
        "step-once", lambda s: s.reports / s.changed, (0.97, 1.05), "reports of one step"
    )
    claims["sessions-common"] = _limit(
        "null-common-same-file", lambda s: s.sessions * s.case.world.nights, (0, 5), "sessions for one common shift"
    )
    return claims


NIGHT_CLAIMS: dict[str, Claim] = _claims()
