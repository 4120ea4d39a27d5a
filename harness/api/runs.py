"""Runs from Python: start one, resume one, read one, compare two."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from harness.api.models import Model
from harness.api.progress import progress_of
from harness.errors import UnknownNameError
from harness.system.paths import DEFAULT_RESULTS

if TYPE_CHECKING:
    import pandas as pd

    from harness.progress import Progress
    from harness.report.charts.charts import Chart
    from harness.store.records import RunRecord
    from harness.workflows.bench import Places

ModelLike = str | Path | Model


class Settings(TypedDict, total=False):
    """How to measure; every key has the meaning and the default of the option of ``phonebench run`` with its name.

    ``inputs`` stands for ``--input`` and ``recipes`` for the ``[[recipe]]`` tables of a spec file.
    """

    variants: str | Sequence[str]
    formats: str | Sequence[str]
    devices: str | Sequence[str]
    delegates: str | Sequence[str]
    threads: int | Sequence[int]
    profile: str
    launches: int
    timeout: float
    clocks: str
    cores: str
    runner: str
    binaries: str | Sequence[str]
    encrypt: bool
    inputs: str | Sequence[str]
    data: str
    recipes: Sequence[dict[str, Any]]
    parts: bool
    random_weights: bool
    seed: int


# The keys of a spec file that have another name here, because they take several values.
_SPEC_KEYS = {
    "variants": "variant",
    "formats": "format",
    "devices": "device",
    "delegates": "delegate",
    "binaries": "binary",
    "inputs": "input",
    "recipes": "recipe",
}


_WHERE = "the settings of harness.run"


class Run:
    """A stored run. Its figures are pandas frames; the unit of a column is the end of its name.

    A notebook shows the recommendation, the table and the charts; ``print`` shows what ``phonebench show`` prints.
    """

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    @property
    def id(self) -> str:
        """The id of the run, which every command takes."""
        return self.record.head.id

    @property
    def folder(self) -> Path:
        """The folder that holds the run, its replies and its report."""
        return self.record.directory

    @property
    def finished(self) -> bool:
        """Whether the run ended; `harness.resume` continues one that did not."""
        return self.record.head.finished_at is not None

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row per cell: what it is, how it ended, and its figures (the columns of ``table.csv``)."""
        from harness.api.frames import cells_frame

        return cells_frame(self.record)

    @cached_property
    def launches(self) -> pd.DataFrame:
        """One row per launch: its median, its load time, and the state of the device around it."""
        from harness.api.frames import launches_frame

        return launches_frame(self.record)

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row per timed call, of every launch. Raises `StoreError` if a stored reply is damaged."""
        from harness.api.frames import samples_frame

        return samples_frame(self.record)

    @cached_property
    def operators(self) -> pd.DataFrame:
        """One row per operator, of the cells whose operators were profiled."""
        from harness.api.frames import operators_frame

        return operators_frame(self.record)

    @property
    def advice(self) -> tuple[str, ...]:
        """What to ship, one sentence per model and device."""
        from harness.report.ranking import rankings
        from harness.report.sections.advice import advise

        return tuple(advise(ranking).headline for ranking in rankings(self.record))

    @cached_property
    def charts(self) -> tuple[Chart, ...]:
        """The charts of the report, each with a ``name``, a ``caption`` and its ``svg``."""
        from harness.report.charts.charts import charts
        from harness.report.evidence import steady_calls, stored_evidence

        return charts(self.record, steady_calls(stored_evidence(self.record)))

    def compare(
        self, baseline: Run, *, margin: float = 0.03, accuracy_margin: float = 0.01, across_units: bool = False
    ) -> pd.DataFrame:
        """Compare this run with ``baseline``, one row per cell and metric.

        ``margin`` is the smallest relative change of latency that matters, and ``accuracy_margin`` the smallest loss
        of accuracy as a share. ``across_units`` also compares two units of one phone model. ``change`` and its 95 %
        interval are relative, for accuracy and scores they are differences. A cell that cannot be compared has one row
        with the reason.
        """
        from harness.api.comparisons import comparison_frame
        from harness.compare.runs import compare_runs
        from harness.records.metrics import ACCURACY, LATENCY

        margins = {LATENCY.name: margin, ACCURACY.name: accuracy_margin}
        return comparison_frame(compare_runs(baseline.record, self.record, margins, across_units=across_units))

    def write_report(self) -> Path:
        """Write ``report.html``, ``table.csv`` and the charts into the folder of the run; return the page's path."""
        from harness.report.files import write_report

        return write_report(self.record).html

    def __repr__(self) -> str:
        counts = self.cells["status"].value_counts() if len(self.cells) else {}
        words = ", ".join(f"{count} {status}" for status, count in counts.items())
        return f"<phonebench run {self.id}: {words or 'no cells'}>"

    def __str__(self) -> str:
        from click import unstyle

        from harness.report.formats.terminal import run_lines

        return unstyle("\n".join(run_lines(self.record, None)))

    def _repr_html_(self) -> str:
        from harness.report.formats.notebook import notebook_html

        return notebook_html(self.record, self.charts)


def run(
    model: ModelLike | Sequence[ModelLike] = "digits",
    *,
    results: str | Path | None = None,
    cache: str | Path | None = None,
    progress: Progress | bool = True,
    **settings: Unpack[Settings],
) -> Run:
    """Build the variants of ``model``, measure each on each device, and return the stored run.

    ``model`` is what the command line takes (a bundled name, a folder, a file, ``module:factory``), a `Model`, or
    several of them. ``results`` and ``cache`` are folders; without them, the environment variables of the command line
    and then its defaults apply. Cells that fail are rows of the result and raise nothing.

    Raises `UsageError` for names that do not exist and `DeviceError` for devices that cannot be opened, both before
    anything is measured, and `InterruptedRunError` when stopped; `resume` then continues.
    """
    from harness.spec.read import make_spec
    from harness.workflows.run import run_spec

    for name in settings:
        if name not in Settings.__annotations__:
            raise UnknownNameError(name, kind="setting", allowed=Settings.__annotations__, where=_WHERE)
    values = {_SPEC_KEYS.get(name, name): _plain(value) for name, value in settings.items()}
    spec = make_spec({"model": _references(model), **values}, where=_WHERE)
    return Run(run_spec(spec, _places(results, cache), progress_of(progress)))


def resume(
    run_id: str = "latest",
    *,
    results: str | Path | None = None,
    cache: str | Path | None = None,
    progress: Progress | bool = True,
) -> Run:
    """Measure the cells of a stored run that have not run yet. Raises as `run` does."""
    from harness.workflows.run import resume_run

    return Run(resume_run(run_id, _places(results, cache), progress_of(progress)))


def load(run_id: str | Path = "latest", *, results: str | Path | None = None) -> Run:
    """Read a stored run: an id, the beginning of one, a path, or ``latest``.

    Raises `UsageError` if there is none, `StoreError` if it is damaged or of another version.
    """
    from harness.store.reader import load_run

    return Run(load_run(results_folder(results), str(run_id)))


def results_folder(results: str | Path | None) -> Path:
    """Return the folder of runs: ``results``, else ``PHONEBENCH_RESULTS``, else ``results`` in the working folder."""
    return Path(results or os.environ.get("PHONEBENCH_RESULTS") or DEFAULT_RESULTS)


def _places(results: str | Path | None, cache: str | Path | None) -> Places:
    from harness.workflows.bench import places_of

    folder = cache or os.environ.get("PHONEBENCH_CACHE")
    return places_of(results_folder(results), Path(folder) if folder else None)


def _references(model: ModelLike | Sequence[ModelLike]) -> list[str]:
    several = [model] if isinstance(model, str | Path | Model) else list(model)
    return [str(one.folder) if isinstance(one, Model) else str(one) for one in several]


def _plain(value: Any) -> Any:
    """Tuples as lists: a spec takes what TOML can hold."""
    return list(value) if isinstance(value, tuple) else value
