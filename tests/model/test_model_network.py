"""Networks are built, weights that do not fit are refused by key, and errors in the user's Python are reported."""

from __future__ import annotations

import contextlib
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from harness.errors import BuildError, MissingPackageError, UsageError
from harness.model.card import ModelCard, ModelOptions, SourceKind
from harness.model.network import example_inputs, input_specs, load_network
from harness.model.resolve import resolve
from harness.wire import DType, TensorSpec
from tests.model.folders import CARD, NETWORK, make_folder

X = TensorSpec(name="x", dtype=DType.FLOAT32, shape=(1, 4))


def own(folder: Path, *, weights: str | None = None, network: str = NETWORK, **files: str) -> ModelCard:
    """The card of a test folder."""
    card = CARD if weights is None else CARD.replace('license = "MIT"', f'weights = "{weights}"')
    return resolve(str(make_folder(folder, card=card, network=network, **files)), ModelOptions())


def mlp() -> nn.Sequential:
    """The network that the folder's Python builds."""
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3))


def test_network_is_in_eval_mode_and_the_same_each_time(tmp_path: Path) -> None:
    card = own(tmp_path)
    before = torch.random.get_rng_state()
    first, second = load_network(card), load_network(card)
    assert not first.training
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_seed_makes_other_random_weights(tmp_path: Path) -> None:
    folder = str(make_folder(tmp_path))
    nets = [load_network(resolve(folder, ModelOptions(random_weights=True, seed=s))) for s in (0, 1)]
    assert not torch.equal(next(nets[0].parameters()), next(nets[1].parameters()))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_of_a_file_are_loaded(tmp_path: Path, suffix: str) -> None:
    state = {k: torch.full_like(v, 0.5) for k, v in mlp().state_dict().items()}
    file = tmp_path / f"w{suffix}"
    if suffix == ".pt":
        torch.save(state, file)
    else:
        save_file(state, file)
    assert load_network(own(tmp_path, weights=file.name)).state_dict()["3.bias"].tolist() == [0.5] * 3


@pytest.mark.parametrize("reference", ["given:state", "given:Weights.V1"])
def test_weights_by_reference_are_loaded(tmp_path: Path, reference: str) -> None:
    given = f"{NETWORK}\n\ndef state():\n    return build().double().float().state_dict()\n"
    given += "\n\nclass Weights:\n    class V1:\n        @staticmethod\n        def get_state_dict(**options):\n"
    given += "            assert options['check_hash']\n            return state()\n"
    card = own(tmp_path, weights=reference, given=given)
    assert set(load_network(card).state_dict()) == set(mlp().state_dict())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.pop("3.bias"), "1 missing: 3.bias"),
        (lambda s: s.update(extra=torch.zeros(1)), "1 unexpected: extra"),
        (lambda s: s.update({"3.bias": torch.zeros(5)}), r"3.bias is \[5\] in the weights, \[3\] in the network"),
        (lambda s: [s.pop(k) for k in list(s)[:4]] and s.update(z=torch.zeros(1)), "4 missing: .*, …; 1 unexpected: z"),
        (lambda s: s.update(epoch=3), "not a state dict; they hold: 0.weight"),
        (lambda s: s.clear(), "they hold: nothing"),
    ],
)
def test_weights_that_do_not_fit_are_reported_by_key(tmp_path: Path, change: object, says: str) -> None:
    state = dict(mlp().state_dict())
    assert callable(change)
    change(state)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(BuildError, match=says):
        load_network(own(tmp_path, weights="w.pt"))


class _Surprise:
    """An object that must not be created when a weights file is loaded."""


def test_weights_file_with_objects_in_it_is_refused(tmp_path: Path) -> None:
    torch.save({"net": _Surprise()}, tmp_path / "w.pt")
    with pytest.raises(BuildError, match=r"cannot read the weights .*w.pt.*more than tensors"):
        load_network(own(tmp_path, weights="w.pt"))


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_broken_weights_file_is_reported(tmp_path: Path, name: str) -> None:
    tmp_path.joinpath(name).write_bytes(b"no weights")
    with pytest.raises(BuildError, match="cannot read the weights"):
        load_network(own(tmp_path, weights=name))


def test_download_that_fails_names_random_weights(tmp_path: Path) -> None:
    text = "from urllib.error import URLError\n\n\nclass W:\n    @staticmethod\n    def get_state_dict():\n"
    card = own(tmp_path, weights="given:W", given=f"{text}        raise URLError('no network')\n")
    with pytest.raises(BuildError, match=r"URLError.*no network.*given.py, line 7\).*--random-weights"):
        load_network(card)


@pytest.mark.parametrize(
    ("network", "says"),
    [
        ("build = 1\nraise ValueError('oh no')\n", r"ValueError: oh no \(.*network.py, line 2\)"),
        ("import sys as build\nbuild.exit(3)\n", r"SystemExit: 3 \(.*network.py, line 2\)"),
        ("def build():\n    return 1 / 0\n", r"network:build\(\) failed: ZeroDivisionError.*network.py, line 2\)"),
        ("def build(width):\n    return width\n", r"network:build\(\) failed: TypeError.*width"),
        ("def build():\n    return {}\n", r"network:build\(\) returned a dict"),
        ("import nowhere_at_all as build\n", r"No module named 'nowhere_at_all'.*network.py, line 1\)"),
        (NETWORK.replace("4, 8", "5, 8"), r"running the network of 'own' on x float32 1x4 failed: RuntimeError"),
    ],
)
def test_python_that_fails_is_reported_with_its_line(tmp_path: Path, network: str, says: str) -> None:
    with pytest.raises(BuildError, match=says):
        load_network(own(tmp_path, network=network))


def test_missing_package_of_an_extra_names_the_extra(tmp_path: Path) -> None:
    raising = "build = 1\nraise ModuleNotFoundError(\"No module named 'foolbox'\", name='foolbox')\n"
    with pytest.raises(MissingPackageError, match=r"pip install 'phonebench\[examples\]'"):
        load_network(own(tmp_path, network=raising))


def test_two_folders_each_have_their_own_modules(tmp_path: Path) -> None:
    network = "{how}\nfrom torch import nn\n\n\ndef build():\n    import sizes\n    return nn.Linear(4, sizes.OUT)\n"
    first = own(tmp_path / "a", network=network.format(how="import sizes"), sizes="OUT = 3\n")
    second = own(tmp_path / "b", network=network.format(how="from sizes import OUT"), sizes="OUT = 5\n")
    third = own(tmp_path / "c", network=network.format(how="from .sizes import OUT"), sizes="OUT = 7\n")
    assert [len(list(load_network(c).parameters())[1]) for c in (first, second, third, first)] == [3, 5, 7, 3]


def test_neighbours_may_form_a_package(tmp_path: Path) -> None:
    make_folder(tmp_path)
    tmp_path.joinpath("parts").mkdir()
    tmp_path.joinpath("parts/__init__.py").touch()
    tmp_path.joinpath("parts/head.py").write_text("OUT = 6\n", encoding="utf-8")
    text = "import parts.head\nfrom parts import head\nfrom torch import nn\n\n\ndef build():\n"
    card = own(tmp_path, network=f"{text}    assert parts.head is head\n    return nn.Linear(4, head.OUT)\n")
    assert len(list(load_network(card).parameters())[1]) == 6


def test_a_changed_file_is_read_again_and_leaves_no_cache(tmp_path: Path) -> None:
    card = own(tmp_path)
    load_network(card)
    own(tmp_path, network=NETWORK.replace("8, 3", "8, 30"))
    assert list(load_network(card).parameters())[-1].shape == (30,)
    assert not list(tmp_path.rglob("__pycache__"))


def test_factory_may_bring_its_example_inputs(tmp_path: Path) -> None:
    text = "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    def forward(self, ids, scale):\n"
    text += "        return ids * scale\n\n\ndef build():\n    return Net(), (torch.arange(3)[None], torch.ones(1))\n"
    folder = make_folder(tmp_path, card=CARD[: CARD.index("[[input]]")], network=text)
    card = resolve(str(folder), ModelOptions())
    network = load_network(card)
    assert [(s.name, s.dtype, s.shape) for s in input_specs(card, network)] == [
        ("ids", DType.INT64, (1, 3)),
        ("scale", DType.FLOAT32, (1,)),
    ]
    assert example_inputs(card, network)[0].tolist() == [[0, 1, 2]]


def test_factory_is_found_in_the_working_folder(tmp_path: Path) -> None:
    make_folder(
        tmp_path / "nets", network=f"from nets.sizes import OUT\n{NETWORK.replace('3)', 'OUT)')}", sizes="OUT = 9\n"
    )
    (tmp_path / "nets" / "__init__.py").touch()
    with contextlib.chdir(tmp_path):
        card = resolve("nets.network:build", ModelOptions(inputs=("x:float32:1x4",)))
        network = load_network(card)
    assert network(torch.ones(1, 4)).shape == (1, 9)


def test_network_without_inputs_says_how_to_name_them(tmp_path: Path) -> None:
    card = resolve(str(make_folder(tmp_path, card=CARD[: CARD.index("[[input]]")])), ModelOptions())
    with pytest.raises(UsageError, match=r"does not declare its inputs; use --input NAME:DTYPE:SHAPE"):
        input_specs(card, load_network(card))


def test_example_inputs_follow_the_seed(tmp_path: Path) -> None:
    card = own(tmp_path)
    network = load_network(card)
    (first,), (second,) = example_inputs(card, network), example_inputs(card, network)
    assert first.shape == (1, 4)
    assert torch.equal(first, second)


def export(network: nn.Module, file: Path) -> ModelCard:
    """Save ``network`` as .pt2 and resolve it."""
    torch.export.save(torch.export.export(network, (torch.ones(1, 4),)), file)
    return resolve(str(file), ModelOptions())


def test_exported_program_tells_its_inputs(tmp_path: Path) -> None:
    plain = mlp().eval()
    card = export(plain, tmp_path / "net.pt2")
    network = load_network(card)
    assert (card.kind, card.inputs, network.training) == (SourceKind.EXPORTED, (), False)
    (spec,) = input_specs(card, network)
    assert (spec.dtype, spec.shape) == (DType.FLOAT32, (1, 4))
    assert torch.equal(network(*example_inputs(card, network)), plain(torch.ones(1, 4)))


def test_exported_program_can_be_exported_again(tmp_path: Path) -> None:
    network = load_network(export(mlp().eval(), tmp_path / "net.pt2"))
    again = torch.export.export(network.eval(), (torch.ones(1, 4),)).module()
    assert torch.equal(again(torch.ones(1, 4)), network(torch.ones(1, 4)))


def test_program_exported_in_training_mode_is_refused(tmp_path: Path) -> None:
    card = export(mlp().train(), tmp_path / "net.pt2")
    with pytest.raises(BuildError, match=r"net.pt2 was exported in training mode \(dropout\); call eval"):
        load_network(card)


def test_exported_program_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    tmp_path.joinpath("net.pt2").write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"net.pt2' is not an exported program"):
        resolve(str(tmp_path / "net.pt2"), ModelOptions())


def test_exported_program_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.pt2", "w") as archive:
        archive.writestr("net/models/model.json", "{}")
    with pytest.raises(BuildError, match=r"reading .*net.pt2' failed: .*save it again"):
        load_network(resolve(str(tmp_path / "net.pt2"), ModelOptions()))


def script(file: Path) -> str:
    """Save the network as TorchScript; return the path."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(mlp().eval(), torch.ones(1, 4)), file)
    return str(file)


def test_torchscript_takes_its_inputs_from_the_option(tmp_path: Path) -> None:
    card = resolve(script(tmp_path / "net.pt"), ModelOptions(inputs=("x:float32:1x4",)))
    network = load_network(card)
    assert (card.kind, input_specs(card)) == (SourceKind.TORCHSCRIPT, (X,))
    assert network(*example_inputs(card, network)).shape == (1, 3)


def test_torchscript_without_inputs_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"net.pt.*does not declare its inputs.*--input"):
        resolve(script(tmp_path / "net.pt"), ModelOptions())


@pytest.mark.parametrize(
    ("content", "says"), [(mlp().state_dict(), "holds a state dict"), (None, "is not TorchScript")]
)
def test_file_that_is_no_network_is_refused(tmp_path: Path, content: object, says: str) -> None:
    file = tmp_path / "net.pt"
    if content is None:
        file.write_bytes(b"nothing")
    else:
        torch.save(content, file)
    with pytest.raises(UsageError, match=says):
        resolve(str(file), ModelOptions())


def test_ready_made_file_has_no_network(tmp_path: Path) -> None:
    tmp_path.joinpath("net.onnx").write_bytes(b"anything")
    with pytest.raises(BuildError, match="ready-made"):
        load_network(resolve(str(tmp_path / "net.onnx"), ModelOptions()))


def test_torchvision_model_loads_with_random_weights() -> None:
    card = resolve("squeezenet1_1", ModelOptions(random_weights=True))
    network = load_network(card)
    with torch.no_grad():
        assert network(*example_inputs(card, network)).shape == (1, 1000)


TABLE = """\
import torch
from torch import nn


class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows = nn.Embedding(2, 4)

    def forward(self, x):
        return self.rows(x).mean(1)


def build():
    return Table()
"""


def table_folder(folder: Path, extra: str = "", **files: str) -> str:
    """A model that looks four indices up in a table of two rows."""
    card = CARD.replace('dtype = "float32"', f'dtype = "int64"{extra}')
    return str(make_folder(folder, card=card, network=TABLE, **files))


def test_an_index_that_was_made_up_asks_for_a_range_or_data(tmp_path: Path) -> None:
    card = resolve(table_folder(tmp_path), ModelOptions())
    with pytest.raises(BuildError, match=r"index out of range.*'x' over 0 to 9.*range = .*or give data"):
        load_network(card)


def test_made_up_indices_lie_within_the_range(tmp_path: Path) -> None:
    card = resolve(table_folder(tmp_path, "\nrange = [0, 1]"), ModelOptions())
    load_network(card)
    found = torch.cat([tensor.flatten() for tensor in example_inputs(card)])
    assert set(found.tolist()) <= {0, 1}


def test_a_range_beyond_the_table_is_named(tmp_path: Path) -> None:
    card = resolve(table_folder(tmp_path, "\nrange = [0, 99]"), ModelOptions())
    with pytest.raises(BuildError, match="'x' over 0 to 99"):
        load_network(card)


def test_with_data_no_index_is_made_up(tmp_path: Path) -> None:
    data = "import numpy as np\n\n\ndef load(split):\n    return np.full((3, 4), len(split) % 2), None\n"
    folder = table_folder(tmp_path, data=data)
    (tmp_path / "model.toml").write_text((tmp_path / "model.toml").read_text() + '\n[data]\nsource = "data:load"\n')
    load_network(resolve(folder, ModelOptions()))
