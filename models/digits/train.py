"""Trains the network in this folder on the training split, and writes ``weights.safetensors``.

Run: ``python models/digits/train.py``; it takes seconds on one core. The test split decides nothing: the kind of shifts
was chosen by eightfold cross-validation within the training split, the number of epochs is fixed, the last weights are
kept, and the test split is scored only after they are written.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional

from harness.model.card import ModelCard, ModelOptions
from harness.model.data import Dataset, Split, load_split
from harness.model.network import load_network
from harness.model.resolve import resolve

EPOCHS, BATCH, PEAK_RATE, SMOOTHING, SEED = 30, 64, 6e-3, 0.05, 0


def load(card: ModelCard, split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images (n, 1, 8, 8) and labels (n,) of ``split``."""
    dataset = load_split(card, split)
    assert isinstance(dataset, Dataset)
    assert dataset.labels is not None
    return torch.from_numpy(dataset.inputs[0][:, 0]), torch.from_numpy(dataset.labels)


def shifted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Move half of the images a pixel left or right, and half a pixel up or down, at random; edges fill with zeros."""
    padded = functional.pad(images, (1,) * 4)
    steps = torch.tensor([1, 1, 0, 2])[torch.randint(4, (2, len(images)), generator=generator)].tolist()
    return torch.stack([p[:, t : t + 8, s : s + 8] for p, t, s in zip(padded, *steps, strict=True)])


def train(network: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Train ``network`` in place for a fixed number of epochs."""
    generator = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(network.parameters())
    steps = -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, epochs=EPOCHS, steps_per_epoch=steps)
    network.train()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images), generator=generator).split(BATCH):
            optimizer.zero_grad()
            logits = network(shifted(images[rows], generator))
            functional.cross_entropy(logits, labels[rows], label_smoothing=SMOOTHING).backward()
            optimizer.step()
            schedule.step()
    network.eval()


def main() -> None:
    """Train, write the weights, and print how many of the held-out images are right."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    card = resolve(str(Path(__file__).parent), ModelOptions(random_weights=True, seed=SEED))
    network = load_network(card)
    train(network, *load(card, Split.TRAIN))
    file = Path(__file__).with_name("weights.safetensors")
    save_file(network.state_dict(), file)
    file.chmod(0o644)  # save_file makes it readable by its owner only, but an installed package has other readers
    images, labels = load(card, Split.TEST)
    with torch.no_grad():
        correct = int((network(images).argmax(1) == labels).sum())
    sys.stdout.write(f"held out: {correct} of {len(labels)} right ({correct / len(labels):.2%})\n")


if __name__ == "__main__":
    main()
