"""A model that nobody may find on a phone, for tests of encryption on devices of any kind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.devices.device import Device
from harness.signing.bundle import sign
from harness.wire import CompanionRef, RunReply
from tests.devices.android.jobs import OPERAND, Work, make_work

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A model with a second file, and the digests of both."""

    work: Work
    weights: Path

    def push(self, device: Device) -> None:
        device.push(self.work.model, self.work.sha256)
        device.push(self.weights, self.work.request.artifact.companions[0].sha256)

    def run(self, device: Device) -> RunReply:
        return device.execute(self.work.request, self.work.inputs, 120).reply

    def signed(self, folder: Path, private: Path) -> Secret:
        """The same with a signature; ``folder`` is for copies of its files."""
        folder.mkdir()
        (folder / "model.onnx").write_bytes(self.work.model.read_bytes())
        (folder / self.weights.name).write_bytes(self.weights.read_bytes())
        artifact = replace(self.work.request.artifact, signature=sign(folder, private).read_text())
        return replace(self, work=replace(self.work, request=replace(self.work.request, artifact=artifact)))

    def unsigned(self) -> Secret:
        artifact = replace(self.work.request.artifact, signature="")
        return replace(self, work=replace(self.work, request=replace(self.work.request, artifact=artifact)))

    def in_the_clear(self, root: Path) -> list[Path]:
        """The files below a folder that hold a part of the model, under whatever name."""
        # Constants of the graph, and the first bytes of the weights.
        parts = (OPERAND.tobytes(), self.weights.read_bytes()[:64])
        return [path for path in files_below(root) if any(part in path.read_bytes() for part in parts)]


def make_secret(folder: Path, weights_bytes: int) -> Secret:
    """Write a model whose second file has that size."""
    work, weights = make_work(folder), folder / "model.onnx.data"
    weights.write_bytes(np.random.default_rng(0).bytes(weights_bytes))
    companion = CompanionRef(file=weights.name, sha256=hashlib.sha256(weights.read_bytes()).hexdigest())
    artifact = replace(work.request.artifact, companions=(companion,))
    return Secret(work=replace(work, request=replace(work.request, artifact=artifact)), weights=weights)


def files_below(root: Path) -> Iterator[Path]:
    """Every file below a folder; what a link leads to is elsewhere."""
    return (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
