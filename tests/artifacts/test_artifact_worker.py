"""The worker on all kinds of networks, with real exporters, their runtimes and verification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.artifacts.cache import Cache
from harness.artifacts.manifest import ArtifactState, Manifest
from harness.artifacts.sources.prepare_model import weights_sha256
from harness.artifacts.sources.prepared_model import Prepared, read_prepared
from harness.artifacts.workers.tasks import ExportTask, PrepareTask, WorkerResult, WorkerTask, decode_task, encode_line
from harness.artifacts.workers.worker import Worker
from harness.model.card import ModelCard, ModelOptions
from harness.model.resolve import resolve
from harness.model.source_key import source_key
from harness.plan.cells import Build
from harness.records.artifact import CalibrationSource
from harness.spec.formats import Backend
from harness.spec.recipe import AS_IS
from harness.spec.shorthand import parse_recipe
from harness.wire import DType, Format
from tests.artifacts.builders import onnx_file
from tests.model.folders import CARD, make_folder

# Exporters warn about their own internals. In a worker, all of it goes to the log.
pytestmark = pytest.mark.filterwarnings("ignore")

ONNX_FP32 = (Format.ONNX, "fp32")
ONNX_INT8 = (Format.ONNX, "int8")
PTL_FP32 = (Format.PTL, "fp32")

DATA = """
import numpy as np

def load(split):
    rng = np.random.default_rng({"calibration": 1, "test": 2}[split])
    x = rng.random((24, 1, 4), dtype=np.float32)
    return x, np.zeros(24, dtype=np.int64)
"""

CONV = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))

def build():
    return Net()
"""

# The second input is a thousand times larger than the first: swapped ranges would saturate it.
TWO_INPUTS = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, low, high):
        return self.left(low), self.right(high)

def build():
    return Net()
"""
TWO_INPUTS_DATA = """
import numpy as np

def load(split):
    rng = np.random.default_rng({"calibration": 1, "test": 2}[split])
    low, high = rng.random((2, 40, 1, 4), dtype=np.float32)
    return {"low": low, "high": high * 1000}, None
"""

TOKENS = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(10, 8), nn.Linear(8, 3)

    def forward(self, tokens):
        return self.head(self.table(tokens).mean(1))

def build():
    return Net()
"""

FORWARD = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return {}

def build():
    return Net()
"""


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def one_input(name: str, dtype: str, shape: list[int]) -> str:
    """A card with this input instead of the usual one."""
    return CARD.partition("[[input]]")[0] + f'[[input]]\nname = "{name}"\ndtype = "{dtype}"\nshape = {shape}\n'


def with_data(card: str = CARD) -> str:
    return card + '\n[data]\nsource = "data:load"\n'


def own(folder: Path, options: ModelOptions | None = None, **files: str) -> ModelCard:
    """The card of a model folder of the tests."""
    return resolve(str(make_folder(folder / "own", **files)), options or ModelOptions())


def prepare(card: ModelCard, cache: Cache, worker: Worker) -> WorkerResult:
    return worker.do(WorkerTask(prepare=PrepareTask(card=card, key=source_key(card), cache_root=str(cache.root))))


def export(card: ModelCard, cache: Cache, *requested: tuple[Format, str]) -> list[WorkerResult]:
    """Prepare ``card`` and export each of ``requested`` with one worker, encoding each task as for a real worker."""
    worker = Worker()
    assert prepare(card, cache, worker).failure is None
    results = []
    for format_, variant in requested:
        backend = Backend.PORTABLE if format_ is Format.PTE else None
        build = Build(model=card.name, variant=variant, format=format_, backend=backend)
        task = ExportTask(
            card=card,
            build=build,
            recipe=None if variant == AS_IS else parse_recipe(variant),
            prepared_key=source_key(card),
            cache_root=str(cache.root),
        )
        results.append(worker.do(decode_task(encode_line(WorkerTask(export=task)))))
    return results


def ready(card: ModelCard, cache: Cache, *requested: tuple[Format, str], sqnr_db: float = 15) -> list[Manifest]:
    """The manifests of ``requested``. Each must be verified with at least this ratio, and be in the cache."""
    manifests = []
    for result in export(card, cache, *requested):
        assert result.manifest is not None, result.failure
        assert result.manifest.state is ArtifactState.READY, result.manifest.reason
        assert result.manifest.sqnr_db is None or result.manifest.sqnr_db > sqnr_db, result.manifest
        found = cache.artifact(result.manifest.key)
        assert found is not None
        assert found.path is not None
        assert found.path.stat().st_size == result.manifest.bytes
        manifests.append(result.manifest)
    return manifests


def facts_of(card: ModelCard, cache: Cache) -> Prepared:
    found = cache.entry("prepared", source_key(card), read_prepared)
    assert found is not None
    return found.facts


def failure_of(result: WorkerResult) -> str:
    assert result.failure is not None, result
    return result.failure.message


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_a_float_and_a_quantised_file_of_a_folder(tmp_path: Path, cache: Cache, network: str) -> None:
    image = one_input("x", "float32", [1, 3, 8, 8])
    card = own(tmp_path, card=image, network=CONV) if network == "conv" else own(tmp_path)
    fp32, int8, ptl = ready(card, cache, ONNX_FP32, ONNX_INT8, PTL_FP32)
    assert fp32.agreement == ptl.agreement == 1.0
    assert (fp32.sqnr_db or 0) > 90
    assert (int8.sqnr_db or 200) < 60
    assert {"torch", "onnx", "onnxruntime"} <= set(fp32.versions)
    assert (fp32.calibration, int8.calibration) == (CalibrationSource.NONE, CalibrationSource.RANDOM)


def test_a_model_without_data_is_run_on_noise(tmp_path: Path, cache: Cache) -> None:
    card = own(tmp_path)
    assert prepare(card, cache, Worker()).failure is None
    facts = facts_of(card, cache)
    assert (facts.random_inputs, facts.random_calibration, facts.labelled) == (True, True, False)
    assert (facts.float_correct, facts.parameters, facts.test_count) == (None, 4 * 8 + 8 + 8 * 3 + 3, 32)
    assert facts.data_sha256 != facts.calibration_sha256


def test_a_model_with_data_is_calibrated_on_it(tmp_path: Path, cache: Cache) -> None:
    card = own(tmp_path, card=with_data(), data=DATA)
    fp32, int8 = ready(card, cache, ONNX_FP32, ONNX_INT8)
    assert (fp32.calibration, int8.calibration) == (CalibrationSource.NONE, CalibrationSource.DATA)
    facts = facts_of(card, cache)
    assert (facts.random_inputs, facts.labelled, facts.test_count, facts.calibration_count) == (False, True, 24, 24)
    assert facts.float_correct is not None


def test_the_correct_ones_of_the_float_network_are_counted(tmp_path: Path, cache: Cache) -> None:
    data = DATA.replace("np.zeros(24, dtype=np.int64)", "np.arange(24) % 3")
    network = FORWARD.format("torch.eye(3)[1:2] + 0 * self.layer(x)")
    card = own(tmp_path, card=with_data(), data=data, network=network)
    assert prepare(card, cache, Worker()).failure is None
    assert facts_of(card, cache).float_correct == 8


def test_a_network_without_a_finite_output_is_named_as_the_source(tmp_path: Path, cache: Cache) -> None:
    card = own(tmp_path, card=with_data(), data=DATA, network=FORWARD.format("self.layer(x) * float('nan')"))
    message = failure_of(prepare(card, cache, Worker()))
    assert "the float model 'own' itself gives nothing but NaN or infinite values (72 of them)" in message


def test_a_network_with_some_outputs_that_are_not_finite_is_the_source_of_them(tmp_path: Path, cache: Cache) -> None:
    network = FORWARD.format("self.layer(x) + torch.tensor([0, float('nan'), float('inf')])")
    card = own(tmp_path, card=with_data(), data=DATA, network=network)
    (result,) = export(card, cache, ONNX_FP32)
    assert result.manifest is not None
    assert result.manifest.state is ArtifactState.READY
    (condition,) = result.manifest.conditions
    assert "the float model itself has 48 of 72 values of output_0 NaN or infinite" in condition.summary


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (FORWARD.format("x.nothing()"), "'Tensor' object has no attribute 'nothing'"),
        (FORWARD.format("self.layer(x[:, :3])"), "running the network of 'own'"),
        (FORWARD.format("'three'"), "returns a str as output_0; return a tensor, or tensors in a tuple, list or dict"),
        (FORWARD.format("(x, x.sum().item())"), "returns a float as output_1"),
        (FORWARD.format("{'a': x, 'b': (x, 'x')}"), "returns a str as b.output_1"),
        (FORWARD.format("torch.fft.fft(x)"), "returns complex numbers as output_0; return torch.view_as_real of them"),
        (FORWARD.format("x.to_sparse()"), "returns a torch.sparse_coo tensor as output_0"),
        (FORWARD.format("None"), "returns nothing"),
        (FORWARD.format("x[x > 0]"), "output_0 of the network has shape"),
        ("def build():\n    raise OSError('no such luck')\n", "no such luck"),
    ],
)
def test_a_network_that_does_not_run_is_a_sentence(tmp_path: Path, cache: Cache, network: str, words: str) -> None:
    message = failure_of(prepare(own(tmp_path, network=network), cache, Worker()))
    assert words in message
    assert list((cache.root / "prepared").rglob("prepared.json")) == []


def test_a_worker_goes_on_after_a_failure(tmp_path: Path, cache: Cache) -> None:
    worker = Worker()
    assert prepare(own(tmp_path / "bad", network="def build():\n    return 1 / 0\n"), cache, worker).failure is not None
    assert prepare(own(tmp_path / "good"), cache, worker).prepared is not None
    assert "the worker task is empty" in failure_of(worker.do(WorkerTask()))


def test_an_export_of_a_model_that_was_not_prepared_is_a_sentence(tmp_path: Path, cache: Cache) -> None:
    build = Build(model="own", variant="fp32", format=Format.ONNX, backend=None)
    task = ExportTask(
        card=own(tmp_path), build=build, recipe=parse_recipe("fp32"), prepared_key="ab" * 32, cache_root=str(cache.root)
    )
    assert "'own' is no longer in the cache" in failure_of(Worker().do(WorkerTask(export=task)))


def test_what_an_exporter_raises_is_told_with_the_line_of_the_network(tmp_path: Path, cache: Cache) -> None:
    branching = FORWARD.format("self.layer(x) if x.sum().item() > 0 else self.layer(-x)")
    result = export(own(tmp_path, card=with_data(), data=DATA, network=branching), cache, (Format.PTE, "fp32"))[0]
    message = failure_of(result)
    assert message.startswith("torch.export cannot convert the network at network.py:")
    assert "if x.sum().item() > 0" in message
    assert "\n" not in message


def test_a_second_export_comes_from_the_cache(tmp_path: Path, cache: Cache) -> None:
    first, second = export(own(tmp_path), cache, PTL_FP32, PTL_FP32)
    assert (first.cached, second.cached) == (False, True)
    assert first.manifest == second.manifest


def test_another_forward_with_the_same_weights_is_another_artifact(tmp_path: Path, cache: Cache) -> None:
    texts = [FORWARD.format(f"torch.{name}(self.layer(x))") for name in ("relu", "tanh")]
    keys = [ready(own(tmp_path, network=text), cache, PTL_FP32)[0].key for text in texts]
    assert len(set(keys)) == 2


def test_random_weights_are_judged_for_noise_alone(tmp_path: Path, cache: Cache) -> None:
    options = ModelOptions(random_weights=True, seed=3)
    card = own(tmp_path, options, card=with_data(CARD.replace('license = "MIT"', 'weights = "no:such"')), data=DATA)
    assert card.random_weights
    (manifest,) = ready(card, cache, ONNX_INT8)
    assert manifest.calibration is CalibrationSource.DATA


def test_two_inputs_and_two_outputs(tmp_path: Path, cache: Cache) -> None:
    assert_two_inputs(tmp_path, cache, ONNX_FP32, ONNX_INT8, PTL_FP32)


def test_calibration_reaches_the_inputs_of_tflite_in_their_order(tmp_path: Path, cache: Cache) -> None:
    assert_two_inputs(tmp_path, cache, (Format.TFLITE, "fp32"), (Format.TFLITE, "int8"))


def assert_two_inputs(folder: Path, cache: Cache, *requested: tuple[Format, str]) -> None:
    high = one_input("high", "float32", [1, 4]).partition("[[input]]")[2]
    card = with_data(one_input("low", "float32", [1, 4]) + "\n[[input]]" + high)
    ready(own(folder, card=card, network=TWO_INPUTS, data=TWO_INPUTS_DATA), cache, *requested, sqnr_db=20)


def test_inputs_of_integers(tmp_path: Path, cache: Cache) -> None:
    card = own(tmp_path, card=one_input("tokens", "int64", [1, 5]), network=TOKENS)
    ready(card, cache, ONNX_FP32, ONNX_INT8, PTL_FP32)


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def saved(folder: Path, suffix: str) -> ModelCard:
    """The card of the small network, saved by torch."""
    path = folder / f"small{suffix}"
    example = (torch.randn(1, 4),)
    if suffix == ".pt2":
        torch.export.save(torch.export.export(small(), example), path)
    else:
        torch.jit.save(torch.jit.trace(small(), example), path)
    return resolve(str(path), ModelOptions(inputs=("x:float32:1x4",) if suffix == ".pt" else ()))


@pytest.mark.parametrize("suffix", [".pt2", ".pt"])
def test_a_network_from_a_file(tmp_path: Path, cache: Cache, suffix: str) -> None:
    fp32, ptl = ready(saved(tmp_path, suffix), cache, ONNX_FP32, PTL_FP32)
    assert min(fp32.sqnr_db or 0, ptl.sqnr_db or 0) > 90


def test_torchscript_cannot_be_quantised_to_ptl(tmp_path: Path, cache: Cache) -> None:
    (result,) = export(saved(tmp_path, ".pt"), cache, (Format.PTL, "int8"))
    assert result.manifest is not None
    assert result.manifest.state is ArtifactState.UNSUPPORTED
    assert "cannot be quantised to int8" in (result.manifest.reason or "")
    assert cache.artifact(result.manifest.key) is not None


@pytest.fixture(scope="module")
def ready_onnx(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A ready-made file that takes (1, 4) and returns (1, 3)."""
    folder = tmp_path_factory.mktemp("ready")
    cache = Cache(folder / "cache")
    manifest = ready(own(folder), cache, ONNX_FP32)[0]
    found = cache.artifact(manifest.key)
    assert found is not None
    assert found.path is not None
    return found.path.read_bytes()


def test_a_ready_made_file_is_run_as_it_is(tmp_path: Path, cache: Cache, ready_onnx: bytes) -> None:
    path = tmp_path / "given.onnx"
    path.write_bytes(ready_onnx)
    card = resolve(str(path), ModelOptions())
    (manifest,) = ready(card, cache, (Format.ONNX, AS_IS))
    found = cache.artifact(manifest.key)
    assert found is not None
    assert found.path is not None
    assert found.path.read_bytes() == ready_onnx
    assert (manifest.sqnr_db, manifest.recipe, list(manifest.versions)) == (None, None, ["onnxruntime"])
    facts = facts_of(card, cache)
    assert [(t.name, t.dtype, t.shape) for t in facts.inputs] == [("x", DType.FLOAT32, (1, 4))]


def test_an_open_batch_of_a_ready_made_file_is_one(tmp_path: Path, cache: Cache) -> None:
    card = resolve(str(onnx_file(tmp_path / "open.onnx", "Mul", np.ones(2, np.float32), ("N", 2))), ModelOptions())
    ready(card, cache, (Format.ONNX, AS_IS))
    assert facts_of(card, cache).inputs[0].shape == (1, 2)


def test_another_open_size_of_a_ready_made_file_has_to_be_told(tmp_path: Path, cache: Cache) -> None:
    path = str(onnx_file(tmp_path / "open.onnx", "Mul", np.ones(1, np.float32), (1, "width")))
    message = failure_of(prepare(resolve(path, ModelOptions()), cache, Worker()))
    assert (
        "leaves sizes of its inputs open; add this, with a number for each ?, or --data: --input x:float32:1x?"
        in message
    )
    ready(resolve(path, ModelOptions(inputs=("x:float32:1x5",))), cache, (Format.ONNX, AS_IS))


def test_a_cut_off_ready_made_file_cannot_be_prepared(tmp_path: Path, cache: Cache, ready_onnx: bytes) -> None:
    path = tmp_path / "given.onnx"
    path.write_bytes(ready_onnx[: len(ready_onnx) // 2])
    message = failure_of(prepare(resolve(str(path), ModelOptions()), cache, Worker()))
    assert "given.onnx cannot be loaded" in message


def test_a_cut_off_ready_made_file_whose_inputs_are_declared_is_broken(
    tmp_path: Path, cache: Cache, ready_onnx: bytes
) -> None:
    path = tmp_path / "given.onnx"
    path.write_bytes(ready_onnx[: len(ready_onnx) // 2])
    card = resolve(str(path), ModelOptions(inputs=("x:float32:1x4",)))
    (result,) = export(card, cache, (Format.ONNX, AS_IS))
    assert result.manifest is not None
    assert result.manifest.state is ArtifactState.BROKEN
    assert "does not run in its own runtime" in (result.manifest.reason or "")


def test_reference_outputs_are_those_of_the_network(tmp_path: Path, cache: Cache) -> None:
    card = saved(tmp_path, ".pt2")
    assert prepare(card, cache, Worker()).failure is None
    model = cache.entry("prepared", source_key(card), read_prepared)
    assert model is not None
    outputs = model.reference()
    assert outputs is not None
    with torch.no_grad():
        expected = [small()(torch.from_numpy(x)).numpy() for x in model.test_inputs()[0]]
    np.testing.assert_array_equal(outputs[0], np.stack(expected))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_every_weight_counts_in_the_digest_of_the_weights(dtype: Any) -> None:
    digests = set()
    for value in (0, 1):
        network = small()
        network.register_buffer("extra", torch.tensor([value, 1]).to(dtype))
        digests |= {weights_sha256(network), weights_sha256(network)}
    assert len(digests) == 2


def test_the_structure_counts_in_the_digest_of_the_weights() -> None:
    layer = nn.Linear(4, 3)
    assert weights_sha256(nn.Sequential(layer, nn.ReLU())) != weights_sha256(nn.Sequential(layer, nn.Tanh()))


def test_tasks_survive_the_wire(tmp_path: Path) -> None:
    task = WorkerTask(prepare=PrepareTask(card=own(tmp_path), key="k", cache_root="/c"))
    line = encode_line(task)
    assert line.count(b"\n") == 1
    assert json.loads(line)["export"] is None
    assert decode_task(line) == task


def test_an_output_of_a_dict_that_is_picked_in_an_order_is_named_by_its_key(tmp_path: Path, cache: Cache) -> None:
    network = FORWARD.format("{'scores': self.layer(x), 'boxes': x.gather(1, x.topk(2).indices)}")
    card = own(tmp_path, card=with_data(), data=DATA, network=network)
    (result,) = export(card, cache, ONNX_FP32)
    assert facts_of(card, cache).ordered == ("boxes",)
    assert result.manifest is not None
    assert result.manifest.state is ArtifactState.READY
    assert ["boxes (picked in an order)" in c.summary for c in result.manifest.conditions] == [True]


def test_every_format_takes_a_network_that_returns_a_dict_with_a_tuple_in_it(tmp_path: Path, cache: Cache) -> None:
    network = FORWARD.format("{'y': self.layer(x), 'more': (x * 2, [x + 1])}")
    card = own(tmp_path, card=with_data(), data=DATA, network=network)
    for manifest in ready(card, cache, ONNX_FP32, PTL_FP32, (Format.PTL, "fp16"), (Format.PTL, "int8")):
        assert manifest.sqnr_db is not None
    assert [o.name for o in facts_of(card, cache).outputs] == ["y", "more.output_0", "more.output_1.output_0"]
