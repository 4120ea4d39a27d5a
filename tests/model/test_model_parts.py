"""Models of several parts: composed into one network, each part as a separate model, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.artifacts.sources.prepare_model import weights_sha256
from harness.errors import BuildError, UnknownNameError, UsageError
from harness.model.card import InputRange, ModelOptions, SourceKind, Task
from harness.model.data import Split
from harness.model.network import input_specs, load_network
from harness.model.part_data import load_data
from harness.model.read_parts import with_parts
from harness.model.resolve import resolve
from harness.model.source_key import source_key
from tests.model.parts import CARD, make_parts

OPTIONS = ModelOptions()
X = torch.tensor([[0.1, 0.2, 0.3, 0.4]])


def test_the_whole_gives_what_its_parts_give_one_after_the_other(tmp_path: Path) -> None:
    folder = str(make_parts(tmp_path))
    whole, backbone, head = (load_network(resolve(folder + part, OPTIONS)) for part in ("", "#backbone", "#head"))
    with torch.no_grad():
        assert torch.equal(whole(X), head(*backbone(X)))
    assert [name for name, _ in whole.named_children()] == ["backbone", "head"]
    assert torch.equal(whole.get_parameter("head.out.bias"), torch.arange(3.0))


def test_cards_of_whole_and_parts(tmp_path: Path) -> None:
    whole, backbone, head = with_parts(resolve(str(make_parts(tmp_path)), OPTIONS))
    assert (whole.kind, whole.source, [p.after for p in whole.parts]) == (
        SourceKind.COMPOSED,
        "backbone, head",
        [(), ("backbone",)],
    )
    assert (backbone.name, backbone.task, backbone.ranges) == (
        "two.backbone",
        Task.OTHER,
        (InputRange(name="x", low=0, high=1),),
    )
    assert (head.name, head.task, head.weights, head.ranges) == (
        "two.head",
        Task.CLASSIFICATION,
        "network:weights",
        (),
    )


def test_a_part_takes_what_the_parts_before_it_give(tmp_path: Path) -> None:
    whole, backbone, head = with_parts(resolve(str(make_parts(tmp_path)), OPTIONS))
    assert [s.name for s in input_specs(backbone, load_network(backbone))] == ["x"]
    specs = input_specs(head, load_network(head))
    assert [(s.name, s.shape) for s in specs] == [("backbone_0", (1, 8)), ("backbone_1", (1, 6))]
    data, given = load_data(whole, Split.TEST), load_data(head, Split.TEST)
    assert data is not None
    assert given is not None
    network = load_network(backbone)
    with torch.no_grad():
        expected = network(torch.from_numpy(data.inputs[0][3]))
    assert all(np.array_equal(a[3], w) for a, w in zip(given.inputs, expected, strict=True))
    assert given.labels is not None
    assert getattr(load_data(backbone, Split.TEST), "labels", "") is None


TWO_HEADS = (
    CARD.replace('after = "backbone"\n', "")
    .replace("network:head", "network:backbone")
    .replace('weights = "network:weights"\n', "")
)


def test_two_models_over_one_input_give_the_outputs_of_both(tmp_path: Path) -> None:
    card = resolve(str(make_parts(tmp_path, card=TWO_HEADS)), OPTIONS)
    with torch.no_grad():
        outputs = load_network(card)(X)
    assert [tuple(y.shape) for y in outputs] == [(1, 8), (1, 6), (1, 8), (1, 6)]


def test_a_part_may_take_inputs_beside_parts(tmp_path: Path) -> None:
    card = (
        CARD.replace('after = "backbone"', 'after = ["backbone", "y"]')
        .replace("[data]\n", "")
        .replace('source = "data:load"\n', '[[input]]\nname = "y"\ndtype = "float32"\nshape = [1, 4]\n')
    )
    folder = make_parts(
        tmp_path, card=card.replace('source = "network:backbone"\n', 'source = "network:backbone"\nafter = ["x"]\n')
    )
    network = folder / "network.py"
    text = network.read_text()
    network.write_text(text.replace("one, two)", "one, two, y)").replace("[one, two], 1)", "[one, two], 1) + y.sum()"))
    with torch.no_grad():
        assert load_network(resolve(str(folder), OPTIONS))(X, X).shape == (1, 3)


def test_the_whole_is_kept_and_found_again_as_one_module(tmp_path: Path) -> None:
    network = load_network(resolve(str(make_parts(tmp_path)), OPTIONS))
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    assert weights_sha256(again) == weights_sha256(network)
    assert torch.equal(again(X), network(X))


def test_keys_follow_the_parts_and_tell_them_apart(tmp_path: Path) -> None:
    folder = make_parts(tmp_path)
    keys = [source_key(card) for card in with_parts(resolve(str(folder), OPTIONS))]
    folder.joinpath("network.py").write_text(folder.joinpath("network.py").read_text() + "\n# changed\n")
    later = [source_key(card) for card in with_parts(resolve(str(folder), OPTIONS))]
    assert len({*keys, *later}) == 6


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            'after = "backbone"',
            'after = "bakbone"',
            r"unknown part or input above it 'bakbone'.*did you mean 'backbone'",
        ),
        ('after = "backbone"', 'after = "head"', r"'head' in after of \[\[part\]\] 'head'"),
        ('after = "backbone"', "after = 3", r"\[\[part\]\] number 2.*after"),
        ('after = "backbone"', 'before = "x"', r"unknown key 'before' in \[\[part\]\] number 2"),
        ('name = "head"', 'name = "backbone"', r"two parts or inputs are named 'backbone'"),
        ('name = "head"', 'name = "my head"', r"name is 'my head' in \[\[part\]\] number 2"),
        ('"network:head"', '"netwrk:head"', r"source in \[\[part\]\] 'head' .*there is no netwrk.py"),
        ('"network:head"', '"network.py"', r"source in \[\[part\]\] 'head'"),
        ('"network:weights"', '"gone.pt"', r"weights in \[\[part\]\] 'head' .*there is no such file"),
        ('task = "classification"', 'source = "network:head"', r"source is in \[model\].*but the model has parts"),
        ('name = "x"', 'name = "head"', r"two parts or inputs are named 'head'"),
        ('[[part]]\nname = "backbone"', '[part]\nname = "backbone"', r"line 9, column 7|write \[\[part\]\]"),
    ],
)
def test_a_wrong_part_is_refused_by_name(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        resolve(str(make_parts(tmp_path, card=CARD.replace(old, new))), OPTIONS)


def test_an_input_that_no_part_takes_is_refused(tmp_path: Path) -> None:
    extra = '[[input]]\nname = "idle"\ndtype = "float32"\nshape = [1]\n\n[data]'
    card = CARD.replace('"network:backbone"', '"network:backbone"\nafter = "x"').replace("[data]", extra)
    with pytest.raises(UsageError, match="no part takes the input 'idle'"):
        resolve(str(make_parts(tmp_path, card=card)), OPTIONS)


def test_parts_without_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has parts but declares no inputs"):
        resolve(str(make_parts(tmp_path, card=CARD.split("[[input]]")[0])), OPTIONS)


def test_a_part_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown part 'hed' in model 'two'; did you mean 'head'"):
        resolve(f"{make_parts(tmp_path)}#hed", OPTIONS)
    with pytest.raises(UsageError, match="model 'digits' has no parts; leave out '#head'"):
        resolve("digits#head", OPTIONS)


def test_a_part_that_does_not_fit_is_reported_by_name(tmp_path: Path) -> None:
    card = CARD.replace('after = "backbone"', 'after = "x"')
    with pytest.raises(BuildError, match=r"running part 'head' of 'two' on 1x4 failed: TypeError"):
        load_network(resolve(str(make_parts(tmp_path, card=card)), OPTIONS))
