"""Retrains a network: the training loop of every step that damages or replaces a network.

The order of the batches, the schedule and the choice of weights depend only on the budget and the data. So the same
step gives the same weights, bit for bit. Only a budget in seconds depends on the clock.

A step calls `fine_tune`. Where weights must keep a property (zeros stay zero, values stay shared), the step restores
it in ``after_update``. That is called after every update, before any weights are judged or kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from harness.errors import BuildError
from harness.model.data import Dataset
from harness.records.steps import TrainingReport
from harness.spec.recipe import Damaging, FineTune, training_of
from harness.variants.examples import Examples, check_batches, load_examples, outputs_of
from harness.variants.objective import FINE_TUNING, Judgement, Objective, judge, loss_of
from harness.variants.step import StepContext

if TYPE_CHECKING:
    import torch

# Called after each update of the weights with the spent share of the budget (0…1).
AfterUpdate: TypeAlias = Callable[[float], None]

# The learning rate rises to its peak over this share of the budget, then falls to zero along a half cosine.
WARM_UP = 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lessons:
    """The train split, and the calibration split to judge by; ``judged`` is False where the latter is random."""

    train: Examples
    calibration: Examples
    judged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """How training went; ``report`` is None when the step does not train."""

    report: TrainingReport | None
    notes: tuple[str, ...] = ()


def nothing_to_keep(spent: float) -> None:
    """Do nothing: the weights have no property to restore."""


def fine_tune(
    network: torch.nn.Module, step: Damaging, context: StepContext, *, after_update: AfterUpdate = nothing_to_keep
) -> Trained:
    """Train ``network`` in place within the budget of ``step``. It ends in eval mode with its best weights.

    Raises `BuildError` without training data or when the loss is no longer finite, `UnfitError` when the network does
    not take batches.
    """
    budget = training_of(step)
    if budget is None:
        return Trained(report=None, notes=("not retrained, because of fine_tune = false",))
    lessons = load_lessons(context, budget)
    check_batches(network, lessons.train)
    return train(network, budget, lessons, after_update=after_update)


def require_data(step: Damaging, context: StepContext) -> None:
    """Raise `BuildError` if ``step`` needs training data that is missing. Steps call it before their long work."""
    if training_of(step) is not None:
        _train_data(context)


def _train_data(context: StepContext) -> Dataset:
    data = context.train()
    if data is None:
        msg = (
            f"model {context.card.name!r} has no train split, so its network cannot be retrained; add a split 'train' "
            "to its data, or set fine_tune = false in the step to keep the network without retraining"
        )
        raise BuildError(msg)
    if data.count < 2:
        msg = f"the train split of model {context.card.name!r} has {data.count} input; training needs at least two"
        raise BuildError(msg)
    return data


def load_lessons(context: StepContext, budget: FineTune) -> Lessons:
    """Return the data to learn from. Raises `BuildError` when the model has no train split or a label is too high."""
    data = _train_data(context)
    lessons = Lessons(
        train=load_examples(data, context.original, batch=budget.batch),
        calibration=load_examples(context.calibration, context.original, batch=budget.batch),
        judged=not context.random_calibration,
    )
    _check_labels(lessons, context.card.name)
    return lessons


def _check_labels(lessons: Lessons, model: str) -> None:
    for split, examples in (("train", lessons.train), ("calibration", lessons.calibration)):
        classes = examples.targets[0].shape[1]
        if examples.labels is not None and int(examples.labels.max()) >= classes:
            label = int(examples.labels.max())
            msg = f"split {split!r} of model {model!r} has the label {label}; its output has classes 0 to {classes - 1}"
            raise BuildError(msg)


def train(
    network: torch.nn.Module,
    budget: FineTune,
    lessons: Lessons,
    *,
    objective: Objective = FINE_TUNING,
    after_update: AfterUpdate = nothing_to_keep,
) -> Trained:
    """Train ``network`` in place: AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), one cycle of the learning rate.

    The weights with the smallest loss on the calibration split are kept, among those after each epoch and before the
    first. The loss decides because the accuracy on a hundred inputs is too coarse. Where the calibration split is
    random, the weights of the last epoch are kept. Raises `BuildError` when the loss is no longer finite.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(budget.seed)
        for parameter in network.parameters():
            parameter.requires_grad_(parameter.is_floating_point())
        loop = _Loop(
            network=network,
            optimizer=torch.optim.AdamW(network.parameters()),
            budget=budget,
            lessons=lessons,
            objective=objective,
            after_update=after_update,
        )
        return loop.run()


@dataclass(slots=True, kw_only=True)
class _Loop:
    """The state of one training run."""

    network: torch.nn.Module
    optimizer: torch.optim.Optimizer
    budget: FineTune
    lessons: Lessons
    objective: Objective
    after_update: AfterUpdate
    losses: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def run(self) -> Trained:
        """Train epoch by epoch, then restore the best weights."""
        before = best = self._judge()
        weights, best_epoch, stopped = self._weights(), 0, False
        while not stopped and self._spent() < 1.0:
            self.losses.append(self._epoch())
            judgement = self._judge()
            if judgement.loss < best.loss or not self.lessons.judged:
                best, weights, best_epoch = judgement, self._weights(), len(self.losses)
            stopped = len(self.losses) - best_epoch >= self.budget.patience
        stopped = stopped and self._spent() < 1.0
        self.network.load_state_dict(weights)
        self.optimizer.zero_grad()
        report = TrainingReport(
            epochs=len(self.losses),
            stopped_early=stopped,
            seconds=time.monotonic() - self.started,
            first_loss=self.losses[0],
            last_loss=self.losses[-1],
            score_before=before.score,
            score_after=best.score,
        )
        return Trained(report=report, notes=tuple(self._notes()))

    def _notes(self) -> Iterator[str]:
        labelled = self.lessons.train.labels is not None
        yield (f"trained on {self.objective}" if labelled else "trained on the float model's outputs, without labels")
        if self.budget.seconds is not None:
            yield "the budget is in seconds, so another run may make more or fewer updates and give other weights"
        if not self.lessons.judged:
            yield "there is no calibration split to judge by, so the weights of the last epoch were kept"

    def _epoch(self) -> float:
        """Train on every call once in a seeded order, or until the seconds are spent. Return the mean loss."""
        import torch

        batches = _batches(torch.randperm(self.lessons.train.count), self.budget.batch)
        self.network.train()
        total, seen = 0.0, 0
        for number, rows in enumerate(batches):
            spent = self._spent(number / len(batches))
            # At least one batch is trained on, however short the budget.
            if spent >= 1.0 and seen:
                break
            total, seen = total + self._update(rows, spent) * len(rows), seen + len(rows)
        self.network.eval()
        return total / seen

    def _update(self, rows: torch.Tensor, spent: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.budget.learning_rate * rate(spent)
        self.optimizer.zero_grad()
        loss = loss_of(outputs_of(self.network, self.lessons.train, rows), self.lessons.train, rows, self.objective)
        value = float(loss.detach())
        if not math.isfinite(value):
            msg = (
                f"training diverged in epoch {len(self.losses) + 1}: the loss is {value}; "
                f"use a learning_rate smaller than {self.budget.learning_rate:g}"
            )
            raise BuildError(msg)
        loss.backward()
        self.optimizer.step()
        self.after_update(spent)
        return value

    def _spent(self, of_epoch: float = 0.0) -> float:
        """The spent share of the budget, by epochs or by the clock, whichever is larger."""
        epochs = (len(self.losses) + of_epoch) / self.budget.epochs
        if self.budget.seconds is None:
            return epochs
        return max(epochs, (time.monotonic() - self.started) / self.budget.seconds)

    def _judge(self) -> Judgement:
        return judge(self.network, self.lessons.calibration, self.objective, batch=self.budget.batch)

    def _weights(self) -> dict[str, torch.Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}


def rate(spent: float) -> float:
    """Return the learning rate as a share of its peak, after the share ``spent`` (0…1) of the budget."""
    # The warm-up begins at a tenth of the peak: at zero, the first updates would do nothing.
    if spent < WARM_UP:
        return 0.1 + 0.9 * spent / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (spent - WARM_UP) / (1 - WARM_UP)))


def _batches(order: torch.Tensor, size: int) -> list[torch.Tensor]:
    """Cut ``order`` into batches. A last batch of one joins the previous: batch norm cannot train on a single value."""
    batches = list(order.split(size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        import torch

        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
