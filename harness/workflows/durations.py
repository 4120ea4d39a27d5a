"""Rough durations, so that nobody has to guess whether a command takes a minute or a night."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from harness.devices.registry import kind_of
from harness.model.card import KINDS, SourceKind
from harness.plan.cells import Cell, Plan
from harness.spec.formats import FORMATS
from harness.spec.profiles import PROFILES, SECOND_NS, Profile
from harness.spec.spec import Spec

# Starting a runner, loading a model, and reading memory, beside what the profile times.
LAUNCH_OVERHEAD_S = 3.0
# A block of an A/B session: a launch with its gate. On a phone it takes longer, because the gate waits for it to cool.
BLOCK_S = (5.0, 15.0)
# One build of the tiny network of ``phonebench formats``, with the imports of the converters spread over all builds.
PROBE_BUILD_S = (1.0, 3.0)

# Files that hold nothing but language models.
_LANGUAGE_FILES = {f".{format_.value}" for format_, row in FORMATS.items() if row.only_language}

Range = tuple[float, float]


def run_estimate(plan: Plan, *, launches: int | None) -> str:
    """Return a sentence about how long the cells of ``plan`` take to measure; ``launches`` overrides the profile."""
    return f"Measuring takes {spoken(cells_seconds(plan.cells, launches))}; what is not in the cache is built first."


def night_estimate(spec: Spec, *, budget_min: float) -> str:
    """Return a sentence about how long a night of ``spec`` takes; its devices need not be there.

    ``budget_min``: the minutes within which comparisons may begin.
    """
    built = len(spec.format) * len(spec.variant)
    files = sum((1 if _is_ready_made(model) else built) * _lengths(model, spec) for model in spec.model)
    cells = files * max(1, len(spec.delegate)) * len(spec.threads)
    seconds = _launch_seconds(PROFILES[spec.profile], spec.launches)
    lanes = Counter("" if not kind_of(device).concurrent else device for device in spec.device)
    most = cells * _longest(lanes)
    total = cells * len(spec.device)
    at_most = f"up to {total} cells" if total > 1 else "1 cell"
    return (
        f"Measuring {at_most} takes {spoken((most * seconds[0], most * seconds[1]))}; "
        f"building comes first, and comparisons side by side take up to {budget_min:g} min more (--budget)."
    )


def _is_ready_made(model: str) -> bool:
    """Whether a model of a spec is a file, or a folder of ONNX Runtime's generate API, that is measured as it is."""
    # Every command that shows a run loads this module; few need the readers of models.
    from harness.model.language import is_genai_folder

    return KINDS.get(Path(model).suffix.lower()) is SourceKind.READY or is_genai_folder(Path(model))


def _lengths(model: str, spec: Spec) -> int:
    """How many lengths of prompts a model of a spec has; only language models have several."""
    from harness.model.language import is_genai_folder, is_language_folder

    path = Path(model)
    is_language = path.suffix.lower() in _LANGUAGE_FILES or is_genai_folder(path) or is_language_folder(path)
    return len(spec.prompt) if is_language else 1


def pairs_estimate(pairs: int, most_pairs: int) -> str:
    """Return a sentence about how long an A/B session takes: two blocks per pair."""
    return f"{pairs} to {most_pairs} pairs take {spoken((2 * pairs * BLOCK_S[0], 2 * most_pairs * BLOCK_S[1]))}."


def probe_estimate(builds: int) -> str:
    """Return a sentence about how long ``builds`` builds of the tiny network take."""
    return f"Trying {builds} builds takes {spoken((builds * PROBE_BUILD_S[0], builds * PROBE_BUILD_S[1]))}."


def cells_seconds(cells: Iterable[Cell], launches: int | None = None) -> Range:
    """Return the least and the most seconds that ``cells`` take to measure on real devices.

    Devices whose kind is concurrent run side by side, after all others.
    """
    low: Counter[str] = Counter()
    high: Counter[str] = Counter()
    for cell in cells:
        lane = cell.device if kind_of(cell.device).concurrent else ""
        seconds = _launch_seconds(PROFILES[cell.profile], launches)
        low[lane] += round(1000 * seconds[0])
        high[lane] += round(1000 * seconds[1])
    return _longest(low) / 1000, _longest(high) / 1000


def _longest(lanes: Counter[str]) -> int:
    """What devices take that run alone, one after the other, and then the longest of those that run side by side."""
    alone = lanes.pop("", 0)
    return alone + max(lanes.values(), default=0)


def _launch_seconds(profile: Profile, launches: int | None) -> Range:
    """The seconds of all launches of one cell: at the first and at the last check of the stop rule."""
    timed = (profile.idle_ns + profile.warmup_ns + profile.measure_ns + profile.settle_ns) / SECOND_NS
    counts = (launches, launches) if launches else (min(profile.checkpoints), max(profile.checkpoints))
    return counts[0] * (timed + LAUNCH_OVERHEAD_S), counts[1] * (timed + LAUNCH_OVERHEAD_S)


def spoken(seconds: Range) -> str:
    """Return a range of seconds in words: ``about 20 s``, ``2 to 8 min``, ``about 1.5 h``."""
    size, unit = next((s, u) for s, u in ((3600, "h"), (60, "min"), (1, "s")) if seconds[1] >= 1.5 * s or s == 1)
    # Hours are worth a decimal.
    low, high = (f"{round(max(value / size, 1), unit == 'h'):g}" for value in seconds)
    return f"about {high} {unit}" if low == high else f"{low} to {high} {unit}"
