"""What a recommendation was chosen from, in one sentence, and the files that were left out, by reason.

Files are counted and not cells: a file that runs on three thread counts is one thing to ship.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.compare.quality import GOOD, Quality
from harness.records import units
from harness.records.measurement import CellStatus
from harness.report.ranking import Ranking
from harness.report.view import CellView, file_labels

# The words for files without results, in the order of the sentence.
_WITHOUT_RESULTS = {
    CellStatus.BROKEN: "give wrong outputs",
    CellStatus.FAILED: "failed",
    CellStatus.UNSUPPORTED: "cannot be built or run",
    CellStatus.PENDING: "have not run yet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """The files that are not recommended for one reason; ``names`` has each file once, with its SQNR if that decided.

    ``words`` complete a sentence whose subject is a number of files: "lose more than 1 percentage point".
    """

    words: str
    names: tuple[str, ...]


def left_out(ranking: Ranking, views: Sequence[CellView], limit: str) -> tuple[LeftOut, ...]:
    """Return what was left out of ``views``, all cells of the model and device of ``ranking``, by reason.

    ``limit`` is the most that a file may lose, in words.
    """
    names = file_labels(views)
    ran = {v.cell.build for v in ranking.ok}
    # A file that is good enough on one delegate is not left out.
    good = {v.cell.build for v in ranking.judged(*GOOD)}
    lost = [v for v in ranking.judged(Quality.LOST) if v.cell.build not in good]
    left_open = [v for v in ranking.judged(Quality.OPEN) if v.cell.build not in good | {v.cell.build for v in lost}]
    groups = [
        LeftOut(words=f"lose more than {limit}", names=_names(lost, names)),
        LeftOut(words="are not shown to be good enough", names=_names(left_open, names, sqnr=True)),
    ]
    for status, words in _WITHOUT_RESULTS.items():
        # A file that ran on one thread count and failed on another is not left out.
        missing = [v for v in views if v.status is status and v.cell.build not in ran]
        groups.append(LeftOut(words=words, names=_names(missing, names)))
    return tuple(group for group in groups if group.names)


def chosen_from(ranking: Ranking, left: Sequence[LeftOut]) -> str:
    """Return the sentence: how many files there were, how many keep the quality, and how many were left out and why."""
    files = ranking.files + sum(len(group.names) for group in left if group.words in _WITHOUT_RESULTS.values())
    cells = len(ranking.ok)
    ran = f"{files} files" if cells == ranking.files else f"{files} files in {cells} cells"
    kept = len({v.cell.build for v in ranking.judged(*GOOD)})
    parts = [f"{kept} keep{'s' if kept == 1 else ''} the quality"] if kept else []
    parts += [f"{len(group.names)} {_agreeing(group.words, len(group.names))}" for group in left]
    tied = len({v.cell.build for v in ranking.as_fast} - ({ranking.best.cell.build} if ranking.best else set()))
    if tied and ranking.best is not None:
        parts.append(f"{tied} {'is' if tied == 1 else 'are'} not measurably slower than the fastest")
    return f"Chosen from {ran}: {', '.join(parts)}." if parts else f"Chosen from {ran}."


def _agreeing(words: str, count: int) -> str:
    """The words with a verb for ``count`` files."""
    if count != 1:
        return words
    verb, _, rest = words.partition(" ")
    singular = {"are": "is", "have": "has", "lose": "loses", "give": "gives"}.get(verb, verb)
    return f"{singular} {rest}".strip()


def _names(views: Iterable[CellView], names: dict[str, str], *, sqnr: bool = False) -> tuple[str, ...]:
    files = {v.cell.build: v for v in views}
    more = {
        build: f" ({units.decibels(v.sqnr_db)} dB)" if sqnr and v.sqnr_db is not None else ""
        for build, v in files.items()
    }
    return tuple(f"{names[v.cell.key]}{more[build]}" for build, v in files.items())
