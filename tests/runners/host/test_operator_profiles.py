"""The operators of a profile pass against what each runtime says of the same file when this test asks it."""

from __future__ import annotations

import ctypes
import json
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.runners.host.runtimes import onnx, tflite
from harness.runners.host.runtimes.litert_library import EventData, ProfiledModel, read_events
from harness.runners.host.runtimes.registry import PROFILERS, RUNTIMES, open_session
from harness.runners.host.runtimes.session import Profiled
from harness.runners.host.runtimes.spans import Span, operator_times
from harness.wire import Delegate, Format, OperatorTime, RuntimeRequest
from tests.readers.tflite_files import tflite_chain, tflite_sum

CPU = RuntimeRequest(delegate=Delegate.CPU, threads=1)
XNNPACK = RuntimeRequest(delegate=Delegate.XNNPACK, threads=1)
IMAGE = np.ones((1, 1, 8, 8), np.float32)
CHAIN = np.full((1, 8, 8, 4), 0.5, np.float32)


def profiled(
    path: Path, format_: Format, array: Any = IMAGE, request: RuntimeRequest = CPU, calls: int = 3
) -> Profiled:
    RUNTIMES[format_].import_runtime(request)
    return PROFILERS[format_](path, request, [array], calls)


@pytest.fixture(scope="module")
def onnx_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four operators that ONNX Runtime does not fuse into one."""
    helper: Any = pytest.importorskip("onnx.helper")
    proto: Any = pytest.importorskip("onnx").TensorProto
    chain = [("Softmax", "x", "a"), ("Tanh", "a", "b"), ("Softmax", "b", "c"), ("Abs", "c", "y")]
    nodes = [helper.make_node(kind, [source], [target], name=f"{kind}_{target}") for kind, source, target in chain]
    ends = [helper.make_tensor_value_info(name, proto.FLOAT, [1, 1, 8, 8]) for name in "xy"]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="module")
def chain_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chain") / "chain.tflite"
    path.write_bytes(tflite_chain(["ABS", "LOG_SOFTMAX", "NEG", "FLOOR", "ABS"]))
    return path


def kinds(found: Profiled) -> list[str]:
    return [operator.kind for operator in found.operators]


def test_onnx_operators_are_the_nodes_of_the_runtimes_own_trace(onnx_net: Path, tmp_path: Path) -> None:
    runtime: Any = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "own")
    session = runtime.InferenceSession(str(onnx_net), options, providers=["CPUExecutionProvider"])
    session.run(None, {"x": IMAGE})
    trace = json.loads(Path(session.end_profiling()).read_text())
    nodes = [e for e in trace if e["cat"] == "Node" and e["name"].endswith("kernel_time")]
    found = profiled(onnx_net, Format.ONNX)
    assert [(o.name, o.kind) for o in found.operators] == [
        (e["name"].removesuffix("_kernel_time"), e["args"]["op_name"]) for e in nodes
    ]
    assert {e["args"]["provider"] for e in nodes} == {"CPUExecutionProvider"}
    assert {o.ran_on for o in found.operators} == {"cpu"}
    assert all(len(o.samples_ns) == 3 for o in found.operators)
    assert found.facts.source == f"onnxruntime {runtime.__version__}"


def test_the_operators_of_a_call_take_no_longer_than_the_call(onnx_net: Path) -> None:
    found = profiled(onnx_net, Format.ONNX, calls=5)
    for at, call_ns in enumerate(found.facts.calls_ns):
        # Each time is a whole microsecond, rounded down or up.
        assert sum(o.samples_ns[at] for o in found.operators) <= call_ns + 1000 * len(found.operators)


def loop_file(path: Path, times: int) -> Path:
    """An .onnx with a loop around a product of two large matrices."""
    helper: Any = pytest.importorskip("onnx.helper")
    proto: Any = pytest.importorskip("onnx").TensorProto
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "state"], ["next"], name="inner"),
            helper.make_node("Identity", ["condition"], ["again"], name="again"),
        ],
        "body",
        [value("at", proto.INT64, []), value("condition", proto.BOOL, []), value("state", proto.FLOAT, [300, 300])],
        [value("again", proto.BOOL, []), value("next", proto.FLOAT, [300, 300])],
    )
    constants = [helper.make_tensor("times", proto.INT64, [], [times]), helper.make_tensor("yes", proto.BOOL, [], [1])]
    graph = helper.make_graph(
        [helper.make_node("Loop", ["times", "yes", "x"], ["y"], name="outer", body=body)],
        "net",
        [value("x", proto.FLOAT, [300, 300])],
        [value("y", proto.FLOAT, [300, 300])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def test_the_time_of_a_loop_is_without_that_of_its_body(tmp_path: Path) -> None:
    found = profiled(loop_file(tmp_path / "loop.onnx", 6), Format.ONNX, np.zeros((300, 300), np.float32))
    by_kind = {operator.kind: operator for operator in found.operators}
    assert len(by_kind["MatMul"].samples_ns) == 3 * 6
    # The trace has the body's time in that of the loop too, so together they would be nearly twice the calls.
    assert sum(sum(o.samples_ns) for o in found.operators) <= sum(found.facts.calls_ns)


def span(kind: str, start_us: int, elapsed_us: int, *, nests: bool = False) -> Span:
    return Span(name=kind, kind=kind, ran_on="cpu", place=(0,), start_us=start_us, elapsed_us=elapsed_us, nests=nests)


@pytest.mark.parametrize(
    ("spans", "own_us"),
    [
        ([span("A", 0, 5), span("B", 5, 7)], {"A": (5,), "B": (7,)}),
        ([span("L", 0, 20, nests=True), span("A", 2, 5), span("A", 8, 6), span("B", 20, 3)],
         {"L": (9,), "A": (5, 6), "B": (3,)}),
        # A loop in a loop: the time of the inner one is not taken from the outer one twice.
        ([span("L", 0, 30, nests=True), span("M", 1, 20, nests=True), span("A", 2, 15), span("B", 25, 4)],
         {"L": (6,), "M": (5,), "A": (15,), "B": (4,)}),
        # Whole microseconds: the body may seem longer than the loop.
        ([span("L", 0, 3, nests=True), span("A", 0, 2), span("A", 2, 2)], {"L": (0,), "A": (2, 2)}),
        ([], {}),
    ],
)  # fmt: skip
def test_time_is_counted_once(spans: list[Span], own_us: dict[str, tuple[int, ...]]) -> None:
    found = operator_times(spans)
    assert {o.kind: tuple(ns // 1000 for ns in o.samples_ns) for o in found} == own_us


def test_tflite_operators_are_the_nodes_that_the_interpreter_lists(chain_file: Path) -> None:
    library: Any = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = library.Interpreter(
        str(chain_file),
        experimental_op_resolver_type=library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    found = profiled(chain_file, Format.TFLITE, CHAIN)
    assert kinds(found) == [node["op_name"] for node in interpreter._get_ops_details()]
    assert {o.ran_on for o in found.operators} == {"cpu"}
    assert all(len(o.samples_ns) == 3 for o in found.operators)
    assert len(found.facts.calls_ns) == 3


def test_operators_inside_xnnpack_are_as_many_as_litert_counts(chain_file: Path) -> None:
    found = profiled(chain_file, Format.TFLITE, CHAIN, XNNPACK)
    with closing(ProfiledModel(chain_file, kernels="delegate", threads=1)) as model:
        model.set_inputs({0: CHAIN})
        model.start()
        model.run()
        model.events()
        summary = model.summary()
    assert f"Number of nodes executed: {len(found.operators)}" in summary
    for operator in found.operators:
        assert (f"Delegate/{operator.kind}" in summary) == (operator.ran_on == "xnnpack")
    assert {o.ran_on for o in found.operators} == {"xnnpack", "cpu"}


@pytest.mark.parametrize(
    ("chain", "partly"),
    [
        (["ABS", "LOG_SOFTMAX", "NEG", "LOG_SOFTMAX"], True),
        (["LOG_SOFTMAX", "ABS", "ABS", "LOCAL_RESPONSE_NORMALIZATION"], True),
        (["LOCAL_RESPONSE_NORMALIZATION"], False),
        (["ABS", "NEG", "RELU"], False),
    ],
)
def test_what_xnnpack_does_not_take_is_named_and_runs_on_the_cpu(
    chain: list[str], partly: bool, tmp_path: Path
) -> None:
    path = tmp_path / "chain.tflite"
    path.write_bytes(tflite_chain(chain))
    session = open_session(path, XNNPACK, Format.TFLITE)
    report = session.report()
    session.close()
    on_cpu = Counter(o.kind for o in profiled(path, Format.TFLITE, CHAIN, XNNPACK).operators if o.ran_on == "cpu")
    assert on_cpu == Counter(node["op_name"] for node in left_by_the_interpreter(path))
    assert (0 < (report.nodes_delegated or 0) < len(chain)) == partly
    assert {part.kind: part.nodes for part in report.nodes_left} == (dict(on_cpu) if partly else {})


def left_by_the_interpreter(path: Path) -> list[dict[str, Any]]:
    library: Any = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = library.Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    nodes: list[dict[str, Any]] = tflite.left_nodes(interpreter._get_ops_details())
    return nodes


def test_an_open_batch_is_profiled_at_the_size_of_the_input(tmp_path: Path) -> None:
    from tests.readers.tflite_files import tflite_file as one_abs

    path = tmp_path / "open.tflite"
    path.write_bytes(one_abs("FLOAT32", [1, 4], [-1, 4]))
    # A buffer of the size in the file would be too small for the second one.
    for batch in (1, 100_000):
        found = profiled(path, Format.TFLITE, np.ones((batch, 4), np.float32))
        assert (kinds(found), found.facts.reason) == (["ABS"], "")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("request_", [CPU, XNNPACK])
def test_each_of_several_inputs_gets_its_own_values(
    order: tuple[int, int], request_: RuntimeRequest, tmp_path: Path
) -> None:
    """A tensor that got the values of the other would have another size, which the profiler refuses."""
    shapes = ((2, 8), (1, 8))
    path = tmp_path / "sum.tflite"
    path.write_bytes(tflite_sum(shapes, order))
    RUNTIMES[Format.TFLITE].import_runtime(request_)
    found = PROFILERS[Format.TFLITE](path, request_, [np.ones(shapes[at], np.float32) for at in order], 2)
    assert (len(found.operators), found.facts.reason) == (1, "")


def test_events_of_another_form_are_refused_before_their_text_is_read() -> None:
    """The text is at an address that does not exist, so reading it would end this process."""
    strange = EventData(type=7)
    ctypes.memmove(ctypes.addressof(strange), (8).to_bytes(8, "little"), 8)
    with pytest.raises(RuntimeError, match="there is no event type 7"):
        read_events([strange])


def test_a_trace_without_a_provider_leaves_the_place_open() -> None:
    event = {"cat": "Node", "name": "conv_kernel_time", "ts": 5, "dur": 3, "args": {"op_name": "Conv"}}
    assert operator_times(onnx.trace_spans([event])) == (OperatorTime(name="conv", kind="Conv", samples_ns=(3000,)),)
    other = {**event, "args": {"op_name": "Conv", "provider": "VitisAIExecutionProvider"}}
    assert operator_times(onnx.trace_spans([other]))[0].ran_on == "VitisAIExecutionProvider"
