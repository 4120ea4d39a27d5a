"""A run of three files with their networks: three convolutions of a made-up layer each, with what follows them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec

from harness.plan.cells import make_cell
from harness.readers.graph import Graph, GraphNode
from harness.records.artifact import ArtifactFacts
from harness.records.operators import Operator, OperatorProfile
from harness.records.sensitivity import Scan, ScannedUnit
from harness.records.steps import LayerReport, StepReport
from harness.spec.profiles import ProfileName
from harness.spec.shorthand import parse_recipe
from harness.spec.spec import Spec
from harness.store.records import RunRecord
from harness.store.writer import create_run
from harness.wire import Delegate, Format
from tests.report.builders import FACTS, make_run, measurement, with_head
from tests.report.wide import like

LAYERS = ("stem", "body.0", "body.1")
VARIANTS = ("fp32", "int8-mixed", "prune50+int8")
SQNR = {"stem": 21.5, "body.0": 40.0, "body.1": 33.0}


def network(kind: str = "float32", channels: int = 8, *, kept: str = "") -> Graph:
    """An input that is quantised unless ``kind`` is float, then a convolution and its activation per layer."""
    nodes = [] if kind == "float32" else [GraphNode(name="x_q", kind="QuantizeLinear", outputs=("x_q",))]
    for layer in LAYERS:
        at, own = len(nodes), "float32" if layer == kept else kind
        shape = (channels, 4, 3, 3)
        nodes += [
            GraphNode(
                name=f"node_{layer}",
                kind="Conv",
                outputs=(f"{layer}_out",),
                after=(at - 1,) if at else (),
                stored_bytes=channels * 36 * (4 if own == "float32" else 1),
                weight_type=own,
                weight_shape=shape,
                layer=layer,
            ),
            GraphNode(name=f"relu_{layer}", kind="Relu", outputs=(f"{layer}_relu",), after=(at,)),
        ]
    return Graph(nodes=tuple(nodes))


def profile() -> OperatorProfile:
    """The three convolutions, named as a runtime names what it fused, and one operator that it added."""
    times = {"stem_relu_nchwc": 400, "body.0_relu_nchwc": 200, "node_body.1_token_4": 300, "ReorderOutput": 100}
    return OperatorProfile(
        source="a made-up profiler 1.0",
        calls=10,
        operators=tuple(
            Operator(
                name=name, kind="ReorderOutput" if "Re" in name else "Conv", calls=10, total_ns=ns * 10, ran_on="cpu"
            )
            for name, ns in times.items()
        ),
    )


def network_run(root: Path) -> RunRecord:
    """Store the run below ``root``: fp32 profiled, a mixed and a pruned file, and a sensitivity scan beside it."""
    planned = tuple(
        make_cell("digits", variant, Format.ONNX, Delegate.CPU, 1, "host", ProfileName.QUICK) for variant in VARIANTS
    )
    graphs = (network(), network("int8", kept="body.0"), network("int8", channels=4))
    step = StepReport(
        step="prune", parameters_before=9, parameters_after=5, macs_before=9, macs_after=5,
        layers=(LayerReport(layer="stem", outcome="4 of 8 channels"),),
    )  # fmt: skip
    run = make_run(planned, ())
    recipes = tuple(parse_recipe(name) for name in VARIANTS)
    spec = Spec(model=("digits",), device=("host",), variant=VARIANTS, recipe=recipes)
    with create_run(root, with_head(run, spec=spec).head) as writer:
        for number, (cell, graph) in enumerate(zip(planned, graphs, strict=True)):
            measured = measurement(like(cell))
            facts = replace(_facts(measured.artifact), sha256=f"{number}" * 64)
            if number == 1:
                facts = replace(facts, kept_float=("body.0",))
            if number == 2:
                facts = replace(facts, steps=(step,))
            operators = None if number else profile()
            writer.add(replace(measured, cell=cell.key, artifact=facts, operators=operators))
            writer.keep_graph(graph, facts.sha256)
        store_scan(root, FACTS.weights_sha256)
        return writer.record()


def store_scan(root: Path, weights_sha256: str) -> None:
    units = tuple(
        ScannedUnit(name=layer, layers=(layer,), kind="Conv2d", parameters=288, sqnr_db=db, agreement=1.0)
        for layer, db in SQNR.items()
    )
    scan = Scan(
        key="k", model="digits", inputs=10, random_inputs=False, units=units, kept_sqnr_db=(20.0, 22.0, 25.0, 200.0),
        int8_agreement=1.0, seconds=1.0, weights_sha256=weights_sha256,
    )  # fmt: skip
    (root / "sensitivity").mkdir(parents=True, exist_ok=True)
    (root / "sensitivity/digits.json").write_text(json.dumps(msgspec.to_builtins(scan)))


def _facts(facts: ArtifactFacts | None) -> ArtifactFacts:
    assert facts is not None
    return facts
