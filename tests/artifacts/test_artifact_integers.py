"""Integers in a network that the quantiser of .pte would round: ids, positions and masks stay exact."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.artifacts.export.exporter import FloatModel
from harness.artifacts.export.pte import PteExporter
from harness.runners.host.runtimes.registry import open_session, run_once
from harness.spec.formats import Backend
from harness.spec.shorthand import parse_recipe
from harness.wire import Delegate, DType, Format, RuntimeRequest, TensorSpec

pytest.importorskip("executorch.exir")
TOKENS = 16


class Words(nn.Module):
    """Embeds ids and positions, and mixes them by one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions, self.mix = nn.Embedding(50, 8), nn.Embedding(50, 8), nn.Linear(8, 8)

    def embed(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.mix(self.words(ids) + self.positions(positions))
        return mixed


class Shifted(Words):
    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.embed(ids, ids * 0 + mask + 2)


class Counted(Words):
    """Positions from the mask, as RoBERTa has them, and a mean over the tokens that the mask keeps."""

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        kept = ids.ne(1).int() * mask.int()
        positions = (torch.cumsum(kept, 1).type_as(kept) + 0) * kept
        x = self.embed(ids, positions.long() + 1)
        return (x * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)


class Begun(Words):
    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        first, second = ids.chunk(2, 1)
        ids = torch.cat([torch.zeros(1, 1, dtype=torch.long), second, first], 1)
        return self.embed(ids, torch.cat([torch.ones(1, 1, dtype=torch.long), mask], 1))


@pytest.mark.parametrize("network", [Shifted, Counted, Begun])
def test_integers_are_not_quantised(tmp_path: Path, network: Any) -> None:
    torch.manual_seed(0)
    float_network = network().eval()
    rng = np.random.default_rng(0)
    ids = rng.integers(2, 40, (8, 1, TOKENS))
    mask = np.ones_like(ids)
    mask[::2, :, 12:] = 0
    specs = tuple(TensorSpec(name=n, dtype=DType.INT64, shape=(1, TOKENS)) for n in ("ids", "mask"))
    source = FloatModel(network=float_network, inputs=specs, calibration=lambda _: (ids, mask), scripted=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        PteExporter(source).export(parse_recipe("int8"), Backend.XNNPACK, tmp_path / "net.pte")
    session = open_session(tmp_path / "net.pte", RuntimeRequest(delegate=Delegate.XNNPACK, threads=1), Format.PTE)
    signal = noise = 0.0
    for call in zip(ids, mask, strict=True):
        with torch.no_grad():
            expected = float_network(*map(torch.from_numpy, call)).numpy()
        (output,) = run_once(session, call)
        signal, noise = signal + float((expected**2).sum()), noise + float(((output - expected) ** 2).sum())
    session.close()
    # Rounded indices would give other rows of the tables, near 0 dB.
    assert 10 * np.log10(signal / noise) > 20
