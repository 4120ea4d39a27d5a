"""A network must be a function of its input: what is not is refused with its cause. Our runs leave nothing in it."""

from __future__ import annotations

import copy
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  PyTorch's own name for it

from harness.errors import BuildError
from harness.model.preserve import preserved
from harness.model.purity import Traits, check_function, unstable_calls
from tests.artifacts.builders import CARD

_calls = 0


class Net(nn.Module):
    """A layer, and ways to be no function of its input, chosen by ``kind``."""

    tail: torch.Tensor
    calls: torch.Tensor
    table: torch.Tensor

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.layer = nn.Linear(4, 4)
        self.drop = nn.Dropout(0.5)
        self.norm = nn.BatchNorm1d(4)
        self.history: list[torch.Tensor] = []
        self.memory = _Memory()
        self.register_buffer("tail", torch.zeros(2, 4))
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> Any:
        return getattr(self, self.kind)(self.layer(x), x)

    def written_buffer(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        out = y + self.tail
        self.tail.copy_(y)
        return out

    def written_view_of_a_buffer(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        out = y + self.tail
        self.tail[:, 1:] = y[:, 1:]
        return out

    def replaced_buffer(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        out = y + self.tail
        self.tail = y
        return out

    def list_attribute(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        self.history.append(y)
        return y + len(self.history)

    def attribute_of_an_object(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        self.memory.count += 1
        return y * self.memory.count

    def new_attribute(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        last: torch.Tensor = vars(self).get("last", y)
        vars(self)["last"] = y
        return y + last

    def largest_input(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        peak: float = max(vars(self).get("peak", 0.0), float(x.abs().max()))
        vars(self)["peak"] = peak
        return y / peak

    def written_weight(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            self.layer.weight.mul_(0.9)
        return y

    def dropout_without_its_flag(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return F.dropout(y, 0.5)

    def dropout_left_in_training(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        self.drop.train()
        out: torch.Tensor = self.drop(y)
        return out

    def noise(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return y + torch.randn_like(y)

    def noise_of_python(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return y * random.random()

    def clock(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return y * (time.perf_counter_ns() % 997)

    def global_variable(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        global _calls  # noqa: PLW0603  this is what users write
        _calls += 1
        return y * _calls

    def statistics_in_training(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        self.norm.train()
        out: torch.Tensor = self.norm(y)
        return out

    def counter(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return y

    def cached_constant(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        if not hasattr(self, "table"):
            self.table = torch.arange(4.0)
        return y + self.table

    def seeded_noise(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        return y + torch.randn_like(y)

    def branch_on_a_value(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return y if y.mean() > 0 else -y

    def branch_on_a_shape(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return y if y.shape[0] > 1 else -y

    def branch_on_a_constant(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return y if self.calls.item() > 0 else -y

    def input_in_place(self, _: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        x[:, 0] = 0
        return x * 2

    def top_k(self, y: torch.Tensor, _: torch.Tensor) -> tuple[torch.Tensor, ...]:
        values, indices = y.topk(2)
        return y.gather(1, indices) * 3, values, indices, y

    def expert(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        weight = self.layer.weight[y.argmax(1)]
        return y @ weight.T

    def not_a_number(self, y: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return torch.log(-(y**2))


class _Memory:
    def __init__(self) -> None:
        self.count = 0


def check(network: nn.Module) -> Traits:
    torch.manual_seed(0)
    card = replace(CARD, folder=Path(__file__).parent)
    one, other = ((torch.randn(2, 4),) for _ in range(2))
    return check_function(card, network.eval(), (one, other))


def network(kind: str) -> Net:
    torch.manual_seed(1)
    return Net(kind)


def fingerprint(net: nn.Module) -> list[Any]:
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    return [
        {name: tensor.tolist() for name, tensor in state.items()},
        sorted(vars(net)),
        len(getattr(net, "history", [])),
    ]


REFUSED = {
    "written_buffer": "keeps state between calls: buffer 'tail' (written in forward (Net), test_purity.py, line",
    "written_view_of_a_buffer": "buffer 'tail' (written in forward (Net), test_purity.py, line",
    "replaced_buffer": "keeps state between calls: buffer 'tail'",
    "list_attribute": "keeps state between calls: attribute 'history'",
    "attribute_of_an_object": "keeps state between calls: attribute 'memory'",
    "new_attribute": "keeps state between calls: attribute 'last'",
    "largest_input": "keeps state between calls: attribute 'peak'",
    "written_weight": "parameter 'layer.weight' (written in forward (Net), test_purity.py, line",
    "dropout_without_its_flag": "draws random numbers: bernoulli in forward (Net), test_purity.py, line",
    "dropout_left_in_training": "draws random numbers: bernoulli in drop (Dropout), test_purity.py, line",
    "noise": "draws random numbers: randn_like in forward (Net), test_purity.py, line",
    "noise_of_python": "no random numbers, buffer or attribute explain it: look for",
    "clock": "look for the time, a global variable or a file in forward",
    "global_variable": "look for the time, a global variable or a file in forward",
}
FINE = (
    "statistics_in_training", "counter", "cached_constant", "seeded_noise", "branch_on_a_value", "branch_on_a_shape",
    "branch_on_a_constant", "input_in_place", "top_k", "expert", "not_a_number",
)  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_function_of_its_input_is_refused_with_its_cause(kind: str) -> None:
    with pytest.raises(BuildError) as refusal:
        check(network(kind))
    assert "is no function of its input" in str(refusal.value)
    assert REFUSED[kind].split(": ")[-1] in str(refusal.value)


@pytest.mark.parametrize("sizes", [(1, 2), (2, 1)])
def test_state_that_only_a_larger_input_changes_is_refused_in_either_order(sizes: tuple[float, float]) -> None:
    one, other = ((torch.full((2, 4), float(size)),) for size in sizes)
    with pytest.raises(BuildError, match="attribute 'peak'"):
        check_function(CARD, network("largest_input").eval(), (one, other))


def test_a_weight_that_is_written_is_refused_although_the_outputs_are_equal() -> None:
    class Rewriting(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.weight.mul_(1)
            return super().forward(x)

    with pytest.raises(BuildError, match="forward writes its weights"):
        check(Rewriting(4, 4))


def test_attention_without_dropout_draws_no_random_numbers() -> None:
    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            query = x.reshape(1, 1, 2, 4)
            return F.scaled_dot_product_attention(query, query, query)

    assert check(Attention()).hints == ()


# A weight that is written is refused, and not restored: a copy of every weight would cost too much.
RESTORED = [kind for kind in (*REFUSED, *FINE) if kind != "written_weight"]


@pytest.mark.parametrize("kind", RESTORED)
def test_nothing_of_our_runs_remains(kind: str) -> None:
    net = network(kind)
    before, state = fingerprint(net.eval()), torch.get_rng_state()
    torch.manual_seed(0)
    seeded = torch.get_rng_state()
    try:
        check(net)
    except BuildError:
        assert kind in REFUSED
    assert fingerprint(net) == before
    assert state is not None
    assert torch.equal(torch.randn(4), torch.randn(4, generator=_generator_after_inputs(seeded)))


def _generator_after_inputs(state: torch.Tensor) -> torch.Generator:
    """A generator in the state after `check` has drawn its two inputs."""
    generator = torch.Generator()
    generator.set_state(state)
    for _ in range(2):
        torch.randn(2, 4, generator=generator)
    return generator


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("branch_on_a_value", "forward decides by a value (forward (Net), test_purity.py, line"),
        ("seeded_noise", "forward seeds a random generator itself (randn_like in forward (Net), test_purity.py, line"),
        ("input_in_place", "forward changes its input 0 in place (forward (Net), test_purity.py, line"),
        ("branch_on_a_shape", None),
        ("branch_on_a_constant", None),
        ("statistics_in_training", None),
        ("counter", None),
        ("cached_constant", None),
        ("not_a_number", None),
    ],
)
def test_what_a_file_may_not_follow_is_a_hint(kind: str, hint: str | None) -> None:
    hints = check(network(kind)).hints
    assert [found.startswith(hint or "") for found in hints] == [True] * (hint is not None)


def test_outputs_that_are_picked_in_an_order_are_named() -> None:
    traits = check(network("top_k"))
    assert traits.names == ("output_0", "output_1", "output_2", "output_3")
    # The values of a top-k are in order themselves: a small error in a score is a small error in the result.
    assert traits.ordered == ("output_0", "output_2")


def test_sums_over_what_was_picked_are_numbers_again() -> None:
    assert check(network("expert")).ordered == ()


def test_positions_of_integers_are_no_order() -> None:
    class Pooling(nn.Module):
        """Reads the features at the end token, which has the highest id, as CLIP's text encoder does."""

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            features = ids[..., None].float() @ torch.ones(1, 3)
            return features[torch.arange(ids.shape[0]), ids.argmax(-1)]

    ids = (torch.tensor([[3, 9, 1]]),)
    assert check_function(CARD, Pooling(), (ids, ids)).ordered == ()


def test_containers_and_arrays_in_attributes_are_restored() -> None:
    class Hoarder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen: dict[str, list[int]] = {"calls": []}
            self.names: set[str] = set()
            self.table = np.zeros(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen["calls"].append(1)
            self.names.add("x")
            self.table += 1
            return x

    net = Hoarder()
    inner = net.seen["calls"]
    with preserved(net):
        net(torch.zeros(1))
        assert inner == [1]
    assert (net.seen, net.names, net.table.tolist()) == ({"calls": []}, set(), [0, 0, 0])
    assert net.seen["calls"] is inner, "the same object, because others may hold it"


def test_a_copy_that_shares_buffers_is_restored_too() -> None:
    net = network("written_buffer")
    shared = copy.copy(net)
    with preserved(net):
        net(torch.ones(2, 4))
    assert shared.tail.tolist() == torch.zeros(2, 4).tolist()


def test_a_threshold_near_the_inputs_is_unstable_under_rounding_and_a_smooth_network_is_not() -> None:
    class Step(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.where(x > 1, x, -x)

    # One of three inputs lies within a millionth of the threshold.
    calls = [(torch.full((1, 64), value),) for value in (0.5, 1.0000001, 2.0)]
    right = [np.stack([torch.where(x > 1, x, -x).numpy() for (x,) in calls])]
    assert unstable_calls(Step(), calls, right, 50) == 1
    assert unstable_calls(Step(), calls, right, 50, skip=[0]) == 0
    smooth = network("not_a_number").eval()
    smooth.kind = "counter"
    calls = [(torch.randn(2, 4),) for _ in range(5)]
    assert unstable_calls(smooth, calls, [np.stack([smooth(x).detach().numpy() for (x,) in calls])], 50) == 0
