"""The network of each file: which node an operator is, what a recipe changed, and what the page gets."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.readers.graph import Graph, GraphNode
from harness.records.operators import Operator, OperatorProfile
from harness.report.formats.html import render_page
from harness.report.formats.model_explorer import node_data
from harness.report.network.layers import layers_of
from harness.report.network.networks import MOST_IN_ONE, DrawnNode, folded
from harness.report.network.times import places
from harness.report.sections import network as section
from harness.report.sections.section import report_of
from harness.store.reader import load_run, read_graph
from tests.report.builders import host_run
from tests.report.networks import SQNR, network, network_run, store_scan

COLUMNS = ("kind", "name", "layer", "after", "bytes", "weights", "time_ns", "sqnr_db", "ran_on", "change", "nodes")
WORDS = ("kind", "layer", "weights", "ran_on", "change")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """The nodes that the page gets, by the label of their file."""
    fragment = section.html(report_of(network_run(tmp_path_factory.mktemp("results"))))
    assert fragment is not None
    files = fragment.embedded["network-data"]["networks"]
    return {file["label"]: [_plain(node, file["words"]) for node in file["nodes"]] for file in files}


def _plain(node: list[Any], words: list[str]) -> dict[str, Any]:
    fields = dict(zip(COLUMNS, node, strict=True))
    return fields | {name: words[fields[name]] for name in WORDS}


def convolutions(nodes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {node["layer"]: node for node in nodes if node["kind"] == "Conv"}


def test_the_time_of_a_fused_operator_stands_at_its_convolution(drawn: dict[str, Any]) -> None:
    assert {layer: node["time_ns"] for layer, node in convolutions(drawn["fp32 onnx"]).items()} == {
        "stem": 400, "body.0": 200, "body.1": 300,
    }  # fmt: skip
    assert {node["time_ns"] for node in drawn["fp32 onnx"] if node["kind"] == "Relu"} == {None}


def test_the_sensitivity_of_a_layer_stands_at_its_weights_in_every_file(drawn: dict[str, Any]) -> None:
    for nodes in drawn.values():
        assert {layer: node["sqnr_db"] for layer, node in convolutions(nodes).items()} == SQNR


def test_an_activation_belongs_to_the_layer_before_it(drawn: dict[str, Any]) -> None:
    assert [node["layer"] for node in drawn["fp32 onnx"]] == ["stem", "stem", "body.0", "body.0", "body.1", "body.1"]


def test_what_a_recipe_changed_is_in_words(drawn: dict[str, Any]) -> None:
    mixed, pruned = convolutions(drawn["int8-mixed onnx"]), convolutions(drawn["prune50+int8 onnx"])
    assert mixed["stem"]["change"] == "int8 weights, float32 in fp32"
    assert mixed["body.0"]["change"] == "left in float: body.0"
    smaller = "int8 weights, float32 in fp32; weights 4 × 4 × 3 × 3, 8 × 4 × 3 × 3 in fp32"
    assert pruned["stem"]["change"] == f"prune: 4 of 8 channels; {smaller}"
    assert pruned["body.1"]["change"] == smaller
    assert drawn["int8-mixed onnx"][0]["change"] == "fp32 has no QuantizeLinear"
    assert {node["change"] for node in drawn["fp32 onnx"]} == {""}


def test_a_scan_of_other_weights_colours_nothing(tmp_path: Path) -> None:
    run = network_run(tmp_path)
    store_scan(tmp_path, "00" * 32)
    fragment = section.html(report_of(run))
    assert fragment is not None
    assert {node[7] for file in fragment.embedded["network-data"]["networks"] for node in file["nodes"]} == {None}


def test_a_run_without_graphs_has_no_section_and_no_script_of_it() -> None:
    page = render_page(host_run(), ())
    assert 'id="network"' not in page
    assert "network-data" not in page


@pytest.mark.parametrize(
    "data",
    [
        b"\x1f\x8b cut off",
        gzip.compress(b'{"schema": 1, "nodes": [{"name": "a", "kind": "Relu", "after": [7]}]}'),
        gzip.compress(b'{"schema": 1, "nodes": [{"name": "a", "kind": "Relu", "after": [0]}]}'),
        gzip.compress(b'{"schema": 1, "nodes": []' + b" " * (65 << 20) + b"}"),
    ],
    ids=["cut off", "reads from no node", "reads from itself", "unpacks to 65 MiB"],
)
def test_a_damaged_graph_is_left_out(tmp_path: Path, data: bytes) -> None:
    run = network_run(tmp_path)
    (run.directory / "graphs" / f"{'1' * 64}.json.gz").write_bytes(data)
    assert read_graph(run, "1" * 64) is None
    fragment = section.html(report_of(load_run(tmp_path, "latest")))
    assert fragment is not None
    assert len(fragment.embedded["network-data"]["networks"]) == 2


def chain(*kinds: str) -> Graph:
    return Graph(
        nodes=tuple(GraphNode(name=f"t{i}", kind=kind, after=(i - 1,) if i else ()) for i, kind in enumerate(kinds))
    )


def numbered(*kinds: str) -> OperatorProfile:
    """A profile whose operators have numbers in the place of names."""
    return OperatorProfile(
        source="x",
        operators=tuple(Operator(name=f"{i}", kind=kind, calls=1, total_ns=1) for i, kind in enumerate(kinds)),
    )


def test_operators_without_names_are_found_by_their_order_among_those_with_weights() -> None:
    # XNNPACK takes the padding into the convolution, and calls a 1 x 1 convolution fully connected.
    graph = chain("RESHAPE", "CONV_2D", "PAD", "DEPTHWISE_CONV_2D", "CONV_2D", "MEAN")
    profile = numbered(
        "Static Reshape (NC)", "Convolution (NHWC, F32) IGEMM", "Convolution (NHWC, F32) DWConv",
        "Fully Connected (NC, F32) GEMM", "Mean (ND) Reduce2",
    )  # fmt: skip
    assert places(profile, graph) == {0: 0, 1: 1, 2: 3, 3: 4, 4: 5}


def test_operators_are_not_placed_where_the_numbers_differ() -> None:
    assert places(numbered("Conv", "Add"), chain("CONV_2D", "CONV_2D", "ADD")) == {1: 2}


def test_a_number_is_no_name() -> None:
    graph = Graph(nodes=(GraphNode(name="0", kind="Exp"), GraphNode(name="1", kind="Log", after=(0,))))
    assert places(numbered("Log", "Exp"), graph) == {0: 1, 1: 0}


def test_a_format_without_names_takes_its_layers_from_another_file_of_the_network() -> None:
    plain = network()
    bare = Graph(nodes=tuple(replace(node, name="", layer="") for node in plain.nodes))
    assert layers_of(bare, [plain]) == layers_of(plain, [])
    # A file of other sizes names nothing.
    assert set(layers_of(bare, [network(channels=5)])) == {""}


@pytest.mark.parametrize("named", [True, False])
def test_a_large_network_is_folded_and_loses_no_node_time_or_byte(named: bool) -> None:
    count = 3 * MOST_IN_ONE
    nodes = [
        DrawnNode(
            kind="Add", name=f"n{i}", layer=f"block.{i // 20}.{i % 20}" if named else "",
            after=(i - 1,) if i else (), stored_bytes=1, time_ns=2.0,
        )
        for i in range(count)
    ]  # fmt: skip
    merged = folded(nodes)
    assert len(merged) == (count // 20 if named else MOST_IN_ONE)
    assert sum(node.nodes for node in merged) == sum(node.stored_bytes for node in merged) == count
    assert sum(node.time_ns or 0 for node in merged) == 2 * count
    assert [node.after for node in merged[:3]] == [(), (0,), (1,)]


def test_node_data_for_model_explorer_names_the_nodes_of_the_file(tmp_path: Path) -> None:
    [(_, text)] = node_data(network_run(tmp_path))
    results = json.loads(text)["main"]["results"]
    # 100 ns of the operator that the runtime added have no node.
    assert results == {
        "node_stem": {"value": 4e-4}, "node_body.0": {"value": 2e-4}, "node_body.1": {"value": 3e-4},
        "ReorderOutput": {"value": 1e-4},
    }  # fmt: skip
