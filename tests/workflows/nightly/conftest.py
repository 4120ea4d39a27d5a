"""Nights of the scripted phone, in this process, with the artifacts of the test session."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.artifacts.build import build_artifacts
from harness.artifacts.cache import Cache
from harness.artifacts.manifest import Artifact
from harness.history.database import open_history
from harness.history.figures import entries_of
from harness.history.ingest import append
from harness.history.records import HistoryEntry
from harness.measure.pairs import PairPlan
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.plan.cells import make_cell
from harness.progress import Silent
from harness.records.metrics import LATENCY
from harness.spec.profiles import ProfileName
from harness.spec.spec import Spec
from harness.wire import Delegate, Format
from harness.workflows.bench import Places
from harness.workflows.nightly.artifacts import keep_artifacts
from harness.workflows.nightly.night import NightTools
from harness.workflows.run import run_spec
from tests.artifacts.orders import order
from tests.history.nights import run_facts

SPEC = Spec(device=("fake",), format=(Format.ONNX,), variant=("fp32",), profile=ProfileName.STANDARD)
CELL = make_cell("digits", "fp32", Format.ONNX, Delegate.CPU, 1, "fake", ProfileName.STANDARD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """Folders for a night, and the history in them."""

    tools: NightTools

    @property
    def results(self) -> Path:
        return self.tools.places.results

    def fill(self, nights: int, *, faster: float = 1.0, artifact: Artifact | None = None) -> None:
        """Add ``nights`` nights like one real run, with times divided by ``faster`` and, if given, ``artifact``."""
        found = entries_of(run_spec(SPEC, self.tools.places, Silent()))
        chance = random.Random(5)
        with open_history(self.tools.history, create=True) as history:
            for night in range(nights):
                factor = chance.gauss(1, 0.01) / faster
                append(history, run_facts(night), [_changed(entry, factor, artifact) for entry in found])
            if artifact is not None:
                keep_artifacts(history, self.results, [artifact])


def _changed(entry: HistoryEntry, factor: float, artifact: Artifact | None) -> HistoryEntry:
    sha256 = artifact.manifest.sha256 if artifact else entry.artifact_sha256
    if entry.figures is None or entry.series.metric != LATENCY.name:
        return replace(entry, artifact_sha256=sha256 or "")
    return replace(
        entry, artifact_sha256=sha256 or "", figures=replace(entry.figures, value=entry.figures.value * factor)
    )


@pytest.fixture
def farm(tmp_path: Path, working_cache: Path) -> Farm:
    """Empty results, no history, and the artifacts of the test session."""
    places = Places(results=tmp_path / "results", cache=working_cache)
    return Farm(tools=NightTools(places=places, history=str(tmp_path / "h.sqlite"), progress=Silent(), plan=PairPlan()))


@pytest.fixture
def smaller(working_cache: Path) -> Artifact:
    """The int8 artifact, which is faster on the scripted phone than that of `CELL`."""
    build = replace(CELL.build, variant="int8")
    card = resolve("digits", ModelOptions())
    return build_artifacts(order([card], [build]), Cache(working_cache), Silent()).artifacts[build]
