"""Ready-made files before any runtime loads: scalars, open sizes, values that are no numbers, further files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import UsageError
from harness.model.card import InputRange, ModelCard, ModelOptions
from harness.model.data import sizes_from_data
from harness.model.read_card import parse_input
from harness.model.ready import companions_of, facts_of, one_call, ready_inputs, why_unsupported
from harness.model.resolve import resolve
from harness.model.source_key import source_key
from harness.wire import DType, TensorSpec, input_text

onnx: Any = pytest.importorskip("onnx")
make, numbers = onnx.helper, onnx.numpy_helper
FLOAT, INT64, STRING = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.STRING


def info(name: str, shape: list[Any] | None, kind: int = FLOAT) -> Any:
    return make.make_tensor_value_info(name, kind, shape)


def save(
    path: Path, inputs: list[Any], outputs: list[Any] | None = None, weights: Sequence[Any] = (), **how: Any
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nodes = [make.make_node("Identity", [inputs[0].name], ["y"])]
    graph = make.make_graph(nodes, "net", inputs, outputs or [info("y", None)], weights)
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=9), str(path), **how)
    return path


def card(path: Path, *inputs: str, data: str | None = None) -> ModelCard:
    return resolve(str(path), ModelOptions(inputs=inputs, data=data))


def inputs_of(one: ModelCard) -> list[str]:
    facts = facts_of(one)
    assert facts is not None
    return [input_text(spec) for spec in one_call(one, sizes_from_data(one, ready_inputs(one, facts.inputs)))]


@pytest.mark.parametrize(
    ("text", "shape", "limits"),
    [
        ("x:float32:1x3", (1, 3), None),
        ("sr:int64:scalar", (), None),
        ("a:b:int32:7", (7,), None),
        ("ids:int64:1x128:0..30521", (1, 128), (0, 30521)),
        ("sr:int64:scalar:16000..16000", (), (16000, 16000)),
        ("t:float32:1:-0.5..1e3", (1,), (-0.5, 1000)),
    ],
)
def test_an_input_option_describes_a_tensor(
    tmp_path: Path, text: str, shape: tuple[int, ...], limits: tuple[float, float] | None
) -> None:
    spec, parsed = parse_input(text)
    assert (spec.shape, parsed and (parsed.low, parsed.high)) == (shape, limits)
    one = card(save(tmp_path / "net.onnx", [info("x", [1])]), text)
    assert one.ranges == (() if limits is None else (InputRange(name=spec.name, low=limits[0], high=limits[1]),))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x:float32:1x3x?x?", "a number for each ?"),
        ("x:float32:", "NAME:DTYPE:SHAPE"),
        ("x:float32", "NAME:DTYPE:SHAPE"),
        ("x:float33:scalar", "'float32'"),
        ("x:float32:1x0", "at least 1"),
        ("x:float32:scalar:2..1", "two numbers"),
    ],
)
def test_an_input_option_that_is_wrong_says_how_to_write_it(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("?", r"\?")):
        parse_input(text)


def test_scalars_and_states_are_read_from_the_file(tmp_path: Path) -> None:
    """The inputs of silero-vad."""
    path = save(tmp_path / "vad.onnx", [info("input", [1, 512]), info("state", [2, 1, 128]), info("sr", [], INT64)])
    assert inputs_of(card(path)) == ["input:float32:1x512", "state:float32:2x1x128", "sr:int64:scalar"]


def test_the_missing_option_is_printed(tmp_path: Path) -> None:
    one = card(save(tmp_path / "net.onnx", [info("x", ["batch", 3, "height", "width"]), info("n", [4], INT64)]))
    with pytest.raises(UsageError) as raised:
        inputs_of(one)
    assert str(raised.value).endswith(": --input x:float32:1x3x?x?")


def test_every_open_input_is_printed_quoted_for_a_shell(tmp_path: Path) -> None:
    one = card(save(tmp_path / "net.onnx", [info("my x", [1, "n"]), info("mask", ["b", "n"], INT64)]))
    with pytest.raises(UsageError, match=r"--input 'my x:float32:1x\?' --input mask:int64:1x\?$"):
        inputs_of(one)


def test_an_option_for_the_open_input_alone_is_enough(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", [info("x", ["b", 3, "h", "w"]), info("n", [4], INT64)])
    assert inputs_of(card(path, "x:float32:2x3x64x48")) == ["x:float32:2x3x64x48", "n:int64:4"]


def test_declared_inputs_keep_their_order_and_may_have_other_names(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", [info("x", [1, 3]), info("n", [4], INT64)])
    assert inputs_of(card(path, "n:int64:4", "x:float32:1x3")) == ["n:int64:4", "x:float32:1x3"]
    assert inputs_of(card(path, "image:float32:1x3", "n:int32:4")) == ["image:float32:1x3", "n:int32:4"]


@pytest.mark.parametrize("text", ["x:float32:1x5", "x:float32:3", "x:int64:1x3", "x:bool:1x3", "x:float32:scalar"])
def test_a_declared_input_that_the_file_does_not_take_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=f"net.onnx takes x:float32:1x3, but {text} is declared"):
        inputs_of(card(save(tmp_path / "net.onnx", [info("x", [1, 3])]), text))


def test_an_unknown_input_is_refused_with_those_of_the_file(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", [info("x", [1, 3]), info("n", [], INT64)])
    with pytest.raises(UsageError, match="has no input 'z'; it has: x:float32:1x3, n:int64:scalar"):
        inputs_of(card(path, "z:float32:1x3"))


@pytest.mark.parametrize(
    ("item", "text"),
    [((3, 32, 40), "1x3x32x40"), ((1, 3, 32, 40), "1x3x32x40"), ((4, 3, 32, 40), "4x3x32x40")],
)
def test_open_sizes_come_from_the_data(tmp_path: Path, item: tuple[int, ...], text: str) -> None:
    np.savez(tmp_path / "data.npz", inputs=np.zeros((6, *item), np.float32))
    path = save(tmp_path / "net.onnx", [info("x", ["b", 3, "h", "w"])])
    assert inputs_of(card(path, data=str(tmp_path / "data.npz"))) == [f"x:float32:{text}"]


def test_open_sizes_that_the_data_do_not_fix_stay_missing(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", inputs=np.zeros((6, 7), np.float32))
    path = save(tmp_path / "net.onnx", [info("x", ["b", 3, "h", "w"])])
    with pytest.raises(UsageError, match=r"x:float32:1x3x\?x\?"):
        inputs_of(card(path, data=str(tmp_path / "data.npz")))


def test_a_file_that_states_no_inputs_asks_for_them(tmp_path: Path) -> None:
    (tmp_path / "net.ptl").write_bytes(b"")
    with pytest.raises(UsageError, match="net.ptl does not state its inputs.*--input NAME:DTYPE"):
        ready_inputs(card(tmp_path / "net.ptl"), None)


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        ([info("text", [1], STRING)], None, "input 'text' of net.onnx holds strings"),
        ([info("x", [1])], [info("label", [1], STRING)], "output 'label' of net.onnx holds strings"),
        (
            [info("x", [1])],
            [make.make_tensor_sequence_value_info("p", FLOAT, None)],
            "output 'p' of net.onnx is a sequ",
        ),
        ([info("z", [1], onnx.TensorProto.COMPLEX64)], None, "input 'z' of net.onnx is complex64"),
        ([info("z", [1], onnx.TensorProto.BFLOAT16)], None, "input 'z' of net.onnx is bfloat16"),
    ],
)
def test_values_that_are_no_numbers_are_named(tmp_path: Path, inputs: Any, outputs: Any, words: str) -> None:
    one = card(save(tmp_path / "net.onnx", inputs, outputs))
    facts = facts_of(one)
    assert facts is not None
    reason = why_unsupported(one, facts)
    assert reason is not None
    assert words in reason


def external(folder: Path, location: str = "net.data") -> Path:
    weights = [numbers.from_array(np.ones((16, 16), np.float32), "w")]
    how: dict[str, Any] = {"save_as_external_data": True, "location": location, "size_threshold": 0}
    return save(folder / "net.onnx", [info("x", [1, 3])], weights=weights, **how)


def companions(path: Path) -> list[str]:
    one = card(path)
    facts = facts_of(one)
    assert facts is not None
    return [str(companion) for companion in companions_of(one, facts)]


def test_a_file_with_weights_is_taken_along_and_counts(tmp_path: Path) -> None:
    path = external(tmp_path)
    assert companions(path) == [str(tmp_path / "net.data")]
    before = source_key(card(path))
    data = bytearray((tmp_path / "net.data").read_bytes())
    data[0] ^= 1
    (tmp_path / "net.data").write_bytes(data)
    assert source_key(card(path)) != before


def test_weights_lie_beside_the_link_to_a_file(tmp_path: Path) -> None:
    """As in the cache of Hugging Face, whose files are links to files named by digests in another folder."""
    path = external(tmp_path / "real")
    (tmp_path / "blobs").mkdir()
    (tmp_path / "linked").mkdir()
    for name in ("net.onnx", "net.data"):
        (path.with_name(name)).rename(tmp_path / "blobs" / f"digest-of-{name[4:]}")
        (tmp_path / "linked" / name).symlink_to(tmp_path / "blobs" / f"digest-of-{name[4:]}")
    assert companions(tmp_path / "linked" / "net.onnx") == [str(tmp_path / "linked" / "net.data")]


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    path = external(tmp_path)
    (tmp_path / "net.data").unlink()
    with pytest.raises(UsageError, match=r"net.onnx keeps weights in 'net.data', and there is no such file"):
        companions(path)


@pytest.mark.parametrize("location", ["../net.data", "weights/net.data", "/tmp/net.data", "inputs.bin", "request.json"])
def test_weights_that_cannot_be_taken_along_are_refused(tmp_path: Path, location: str) -> None:
    path = external(tmp_path)
    model = onnx.load(str(path), load_external_data=False)
    entry = next(e for e in model.graph.initializer[0].external_data if e.key == "location")
    entry.value = location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UsageError, match=f"net.onnx keeps weights in '{location}'"):
        companions(path)


def test_a_scalar_stays_a_scalar_on_the_wire() -> None:
    assert input_text(TensorSpec(name="sr", dtype=DType.INT64, shape=())) == "sr:int64:scalar"


def compiled(path: Path, source: str | None, **attributes: Any) -> Path:
    """A file whose network a provider of ONNX Runtime has compiled."""
    given = attributes if source is None else {"source": source, **attributes}
    node = make.make_node("EPContext", ["x"], ["y"], domain="com.microsoft", main_context=1, **given)
    graph = make.make_graph([node], "net", [info("x", [1, 4])], [info("y", [1, 4])])
    opsets = [make.make_opsetid("", 17), make.make_opsetid("com.microsoft", 1)]
    onnx.save(make.make_model(graph, opset_imports=opsets, ir_version=9), str(path))
    return path


@pytest.mark.parametrize(
    ("source", "attributes", "by", "further"),
    [
        ("QNN", {"embed_mode": 0, "ep_cache_context": "net_qnn.bin"}, "QNN", ("net_qnn.bin",)),
        ("QNNExecutionProvider", {"embed_mode": 1, "ep_cache_context": b"\0\xff"}, "QNN", ()),
        ("OpenVINOExecutionProvider", {"ep_cache_context": b"<net/>"}, "OpenVINO", ()),
        (None, {"embed_mode": 0}, "an unnamed provider", ()),
    ],
)
def test_a_compiled_file_names_its_provider_and_the_file_with_the_binary(
    tmp_path: Path, source: str | None, attributes: dict[str, Any], by: str, further: tuple[str, ...]
) -> None:
    one = card(compiled(tmp_path / "net.onnx", source, **attributes))
    facts = facts_of(one)
    assert facts is not None
    assert (facts.compiled_by, facts.companions) == (by, further)
    if further:
        with pytest.raises(UsageError, match="'net_qnn.bin', and there is no such file"):
            companions_of(one, facts)
        (tmp_path / "net_qnn.bin").write_bytes(b"binary")
        assert companions_of(one, facts) == (tmp_path / "net_qnn.bin",)


def test_an_ordinary_file_is_compiled_by_nobody(tmp_path: Path) -> None:
    facts = facts_of(card(save(tmp_path / "net.onnx", [info("x", [1, 4])])))
    assert facts is not None
    assert facts.compiled_by == ""
