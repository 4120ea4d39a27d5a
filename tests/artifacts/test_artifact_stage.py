"""The build stage: cached artifacts start no worker, holes have a reason, and a broken model fails alone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.artifacts.build import BuildOutcome, build_artifacts
from harness.artifacts.cache import MANIFEST_FILE, Cache
from harness.artifacts.manifest import ArtifactState
from harness.model.card import ModelCard, ModelOptions
from harness.model.resolve import resolve
from harness.plan.cells import Build
from harness.progress import Silent
from harness.spec.formats import Backend, default_formats
from harness.spec.recipe import AS_IS
from harness.spec.shorthand import parse_recipe
from harness.spec.spec import Spec
from harness.wire import Format
from tests.artifacts.orders import order
from tests.artifacts.rows import change_row
from tests.model.folders import CARD, make_folder

DIGITS = [
    Build(model="digits", variant=variant, format=format_, backend=Backend.XNNPACK if format_ is Format.PTE else None)
    for format_ in default_formats()
    for variant in Spec().variant
]


class Recorder(Silent):
    """A progress that records its calls."""

    def __init__(self) -> None:
        self.starts: list[tuple[str, int]] = []
        self.steps: list[str] = []
        self.finished = 0

    def start(self, stage: str, total: int) -> None:
        self.starts.append((stage, total))

    def step(self, unit: str, outcome: str) -> None:
        self.steps.append(f"{unit}: {outcome}")

    def finish(self) -> None:
        self.finished += 1


def digits() -> ModelCard:
    return resolve("digits", ModelOptions())


def build(cards: Sequence[ModelCard], builds: Sequence[Build], cache: Path) -> tuple[BuildOutcome, Recorder]:
    """Build, and return the outcome with the recorded progress."""
    recorder = Recorder()
    return build_artifacts(order(cards, builds), Cache(cache), recorder), recorder


@pytest.fixture
def own_cache(built_cache: Path, tmp_path: Path) -> Path:
    """A copy of the built cache that a test may damage."""
    return Path(shutil.copytree(built_cache, tmp_path / "cache"))


def test_what_is_cached_starts_no_worker(built_cache: Path) -> None:
    outcome, recorder = build([digits()], DIGITS, built_cache)
    assert (outcome.built, recorder.starts) == (0, [])
    assert {a.manifest.state for a in outcome.artifacts.values()} == {ArtifactState.READY}
    assert outcome.models["digits"].facts.test_count > 100
    again = build([digits()], DIGITS, built_cache)[0]
    assert outcome.artifacts == again.artifacts
    assert outcome.models["digits"].facts == again.models["digits"].facts


@pytest.mark.parametrize("builds", [DIGITS, DIGITS[::-1], DIGITS[1::2] + DIGITS[::2]])
def test_artifacts_come_in_the_order_they_were_asked_for(built_cache: Path, builds: list[Build]) -> None:
    assert list(build([digits()], builds, built_cache)[0].artifacts) == builds


def test_an_artifact_knows_what_it_is(built_cache: Path) -> None:
    for requested, artifact in build([digits()], DIGITS, built_cache)[0].artifacts.items():
        manifest = artifact.manifest
        assert (manifest.model, manifest.variant, manifest.format) == ("digits", requested.variant, requested.format)
        assert manifest.recipe == parse_recipe(requested.variant)
        assert artifact.path is not None
        assert artifact.path.stat().st_size == manifest.bytes


def test_a_missing_package_is_a_hole_with_the_command(built_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change_row(monkeypatch, Format.TFLITE, packages=("torch", "no-such-package", "nor-this"))
    outcome, recorder = build([digits()], DIGITS, built_cache)
    holes = {b: a.manifest for b, a in outcome.artifacts.items() if a.manifest.state is ArtifactState.UNSUPPORTED}
    assert {b.format for b in holes} == {Format.TFLITE}
    assert len(holes) == 4
    reason = "tflite needs no-such-package, nor-this; run: pip install 'phonebench[tflite-export]'"
    assert {m.reason for m in holes.values()} == {reason}
    assert (list(outcome.artifacts), recorder.starts) == (DIGITS, [])


def test_a_ready_made_file_needs_its_runtime_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "given.onnx"
    path.write_bytes(b"rubbish")
    card = resolve(str(path), ModelOptions(inputs=("x:float32:1x4",)))
    requested = Build(model="given", variant=AS_IS, format=Format.ONNX, backend=None)
    change_row(monkeypatch, Format.ONNX, runtime_packages=("no-such-package",))
    outcome, _ = build([card], [requested], tmp_path / "cache")
    assert outcome.artifacts[requested].manifest.state is ArtifactState.UNSUPPORTED
    assert outcome.artifacts[requested].manifest.reason == (
        "onnx needs no-such-package; run: pip install 'phonebench[onnx]'"
    )
    change_row(monkeypatch, Format.ONNX, packages=("no-such-package",), runtime_packages=("onnxruntime",))
    outcome, _ = build([card], [requested], tmp_path / "cache")
    assert outcome.artifacts[requested].manifest.state is ArtifactState.BROKEN


def test_one_damaged_artifact_is_made_again_and_no_other(own_cache: Path) -> None:
    requested = next(b for b in DIGITS if (b.format, b.variant) == (Format.PTL, "fp32"))
    path = build([digits()], [requested], own_cache)[0].artifacts[requested].path
    assert path is not None
    path.write_bytes(path.read_bytes()[:-1])
    outcome, recorder = build([digits()], DIGITS, own_cache)
    assert (outcome.built, recorder.starts, recorder.finished) == (1, [("build", 1)], 1)
    assert recorder.steps[0].startswith("digits fp32 ptl: ready")
    assert list(outcome.artifacts) == DIGITS
    assert {a.manifest.state for a in outcome.artifacts.values()} == {ArtifactState.READY}


def test_a_model_that_fails_costs_its_own_builds_alone(tmp_path: Path) -> None:
    bad = make_folder(
        tmp_path / "bad", card=CARD.replace("own", "bad"), network="def build():\n    raise OSError('gone')"
    )
    good = make_folder(tmp_path / "good", card=CARD.replace("own", "good"))
    cards = [resolve(str(folder), ModelOptions()) for folder in (bad, good)]
    builds = [
        Build(model=model, variant="fp32", format=format_, backend=None)
        for format_ in (Format.PTL, Format.ONNX)
        for model in ("good", "bad")
    ]
    outcome, _ = build(cards, builds, tmp_path / "cache")
    assert list(outcome.artifacts) == builds
    states = {b.model: outcome.artifacts[b].manifest.state for b in builds}
    assert states == {"good": ArtifactState.READY, "bad": ArtifactState.FAILED}
    assert "gone" in outcome.model_failures["bad"]
    failed = [outcome.artifacts[b].manifest for b in builds if b.model == "bad"]
    assert {m.reason for m in failed} == {outcome.model_failures["bad"]}
    assert all(m.log and Path(m.log).is_file() for m in failed)
    assert (outcome.built, list(outcome.models)) == (2, ["good"])
    assert build(cards[1:], [b for b in builds if b.model == "good"], tmp_path / "cache")[0].built == 0


def test_what_failed_is_not_cached(own_cache: Path, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "bad", network="def build():\n    raise OSError('gone')")
    card = resolve(str(folder), ModelOptions())
    requested = Build(model="own", variant="fp32", format=Format.PTL, backend=None)
    before = len(list(own_cache.rglob(MANIFEST_FILE)))
    outcome, recorder = build([card], [requested], own_cache)
    assert recorder.steps == ["own fp32 ptl: failed, 0.0 s"]
    assert outcome.artifacts[requested].path is None
    assert len(list(own_cache.rglob(MANIFEST_FILE))) == before
