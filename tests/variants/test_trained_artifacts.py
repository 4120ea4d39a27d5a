"""Steps that train, in the real build stage: a worker makes the variant, and the artifact is checked against it."""

from __future__ import annotations

import pytest

from harness.artifacts.build import BuildOrder, BuildOutcome, build_artifacts
from harness.artifacts.cache import Cache
from harness.artifacts.manifest import Artifact, ArtifactState
from harness.model.card import ModelOptions
from harness.model.resolve import resolve
from harness.plan.cells import Build
from harness.progress import Silent
from harness.records.steps import Figure
from harness.spec.recipe import Distill, FineTune, Precision, Prune, Qat, Recipe, Sparsify
from harness.wire import Format
from tests.model.folders import make_folder

SHORT = FineTune(epochs=3)
RECIPES = (
    Recipe(name="pruned", steps=(Prune(ratio=0.5, fine_tune=SHORT),), precision=Precision.INT8),
    Recipe(name="sparse", steps=(Sparsify(ratio=0.8, dynamic=True, fine_tune=SHORT),)),
    Recipe(name="small", steps=(Distill(compare_plain=False, fine_tune=SHORT),)),
    Recipe(name="aware", steps=(Qat(fine_tune=FineTune(epochs=1)),), precision=Precision.INT8),
)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> BuildOutcome:
    """Digits as ``.onnx`` with each of the recipes, and a model without data with one of them."""
    folder = tmp_path_factory.mktemp("trained")
    own = resolve(str(make_folder(folder / "own")), ModelOptions())
    builds = [Build(model="digits", variant=r.name, format=Format.ONNX, backend=None) for r in RECIPES]
    builds.append(Build(model="own", variant="sparse", format=Format.ONNX, backend=None))
    requested = BuildOrder(
        cards=[resolve("digits", ModelOptions()), own], builds=builds, recipes={r.name: r for r in RECIPES}
    )
    return build_artifacts(requested, Cache(folder / "cache"), Silent())


def artifact(outcome: BuildOutcome, variant: str) -> Artifact:
    """The artifact of ``variant``, which must be ready."""
    found = next(a for b, a in outcome.artifacts.items() if (b.model, b.variant) == ("digits", variant))
    assert found.manifest.state is ArtifactState.READY, found.manifest.reason
    return found


def test_a_pruned_network_makes_a_small_file(outcome: BuildOutcome) -> None:
    pruned, aware = (artifact(outcome, name).manifest for name in ("pruned", "aware"))
    assert pruned.parameters is not None
    assert aware.parameters is not None
    assert pruned.parameters < aware.parameters / 3
    assert pruned.bytes is not None
    assert aware.bytes is not None
    assert pruned.bytes < 0.7 * aware.bytes
    assert pruned.agreement is not None
    assert pruned.agreement > 0.8


def test_zeros_make_a_file_that_deflates(outcome: BuildOutcome) -> None:
    sparse = artifact(outcome, "sparse").manifest
    assert sparse.steps[0].figures[Figure.SPARSITY] == pytest.approx(0.8, abs=1e-3)
    assert sparse.compressed_bytes is not None
    assert sparse.bytes is not None
    assert sparse.compressed_bytes < sparse.bytes / 2


def test_a_student_is_an_artifact_of_its_model(outcome: BuildOutcome) -> None:
    small = artifact(outcome, "small").manifest
    assert (small.model, small.parameters) == ("digits", 3530)


def test_a_network_trained_for_int8_agrees_with_the_float_one(outcome: BuildOutcome) -> None:
    aware = artifact(outcome, "aware").manifest
    assert aware.steps[0].training is not None
    assert aware.agreement is not None
    assert aware.agreement > 0.95


def test_without_data_to_train_on_the_artifact_says_what_to_write(outcome: BuildOutcome) -> None:
    manifest = next(a.manifest for b, a in outcome.artifacts.items() if b.model == "own")
    assert manifest.state is ArtifactState.FAILED
    assert "fine_tune = false" in (manifest.reason or "")
    assert manifest.log is not None
