"""Tiny networks with their data as model folders, and their artifacts made by one worker."""

from __future__ import annotations

from pathlib import Path

from harness.artifacts.cache import Cache
from harness.artifacts.manifest import Manifest
from harness.artifacts.workers.tasks import ExportTask, PrepareTask, WorkerResult, WorkerTask
from harness.artifacts.workers.worker import Worker
from harness.model.card import ModelCard, ModelOptions
from harness.model.resolve import resolve
from harness.model.source_key import source_key
from harness.plan.cells import Build
from harness.spec.formats import Backend
from harness.spec.shorthand import parse_recipe
from harness.wire import Format
from tests.model.folders import make_folder

IMAGE_CARD = """\
[model]
name = "image"
task = "other"
source = "network:build"

[[input]]
name = "picture"
dtype = "float32"
shape = [1, 3, 6, 5]

[data]
source = "data:load"
"""

# Three channels of very different scale, so that mixing them up shows.
IMAGE_DATA = """\
import numpy as np

def load(split):
    rng = np.random.default_rng({"calibration": 1, "test": 2}[split])
    scale = np.array([1, 10, 100], dtype=np.float32).reshape(3, 1, 1)
    return rng.random((8, 1, 3, 6, 5), dtype=np.float32) * scale, None
"""

IMAGE_NETWORK = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU())
        self.head = nn.Linear(64, 4)

    def forward(self, picture):
        return self.head(self.body(picture).mean((2, 3), keepdim=True).flatten(1))

def build():
    torch.manual_seed(0)
    return Net()
"""


def image_card(folder: Path, network: str = IMAGE_NETWORK) -> ModelCard:
    """The card of a folder with a network for images of three channels."""
    return resolve(
        str(make_folder(folder / "image", card=IMAGE_CARD, network=network, data=IMAGE_DATA)), ModelOptions()
    )


class Bench:
    """One worker with a cache. ``make`` returns manifests of artifacts."""

    def __init__(self, folder: Path) -> None:
        self.cache = Cache(folder / "cache")
        self._worker = Worker()

    def prepare(self, card: ModelCard) -> WorkerResult:
        task = PrepareTask(card=card, key=source_key(card), cache_root=str(self.cache.root))
        return self._worker.do(WorkerTask(prepare=task))

    def export(
        self, card: ModelCard, variant: str, format_: Format = Format.PTE, backend: Backend | None = None
    ) -> WorkerResult:
        build = Build(model=card.name, variant=variant, format=format_, backend=backend)
        task = ExportTask(
            card=card,
            build=build,
            recipe=parse_recipe(variant),
            prepared_key=source_key(card),
            cache_root=str(self.cache.root),
        )
        return self._worker.do(WorkerTask(export=task))

    def make(
        self, card: ModelCard, variant: str, format_: Format = Format.PTE, backend: Backend | None = None
    ) -> Manifest:
        prepared = self.prepare(card)
        assert prepared.failure is None, prepared.failure
        result = self.export(card, variant, format_, backend)
        assert result.manifest is not None, result.failure
        return result.manifest

    def path(self, manifest: Manifest) -> Path:
        """The path of the artifact's file in the cache."""
        artifact = self.cache.artifact(manifest.key)
        assert artifact is not None
        assert artifact.path is not None
        return artifact.path
