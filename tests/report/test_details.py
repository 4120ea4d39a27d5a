"""What is behind the figures of a cell."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from harness.records.conditions import ConditionId
from harness.report.commands import cell_command
from harness.report.details import BlockKind, DetailBlock, detail_blocks, details_json
from harness.report.evidence import no_evidence, steady_calls, stored_evidence
from harness.report.remedies import REMEDIES
from harness.report.view import cell_views
from harness.spec.spec import Spec
from harness.store.records import REPLIES_FOLDER, RunRecord
from harness.wire import Format
from tests.report.builders import cells, failed, make_run, measurement, phone_run
from tests.report.large import Shape, store_large_run

SHAPE = Shape(variants=1, threads=(1, 2), launches=3, calls=200)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return store_large_run(tmp_path_factory.mktemp("results"), SHAPE)


def blocks(run: RunRecord, number: int = 0) -> dict[str, DetailBlock]:
    view = cell_views(run)[number]
    return {block.title: block for block in detail_blocks(view, run.head, stored_evidence(run))}


def test_a_launch_has_its_gate_and_the_state_before_and_after(stored: RunRecord) -> None:
    titles, first, *others = blocks(stored)["Launches"].content
    row = dict(zip(titles, first, strict=True))
    assert len(others) == 2
    assert row["gate"] == "open after 2 s"
    assert row["before"] == "thermal none, 33.0 °C, battery 80 %, 29.5 °C battery, probe 910 µs"
    assert row["after"].startswith("thermal light, 38.4 °C")
    assert row["calls"] == "200"


def test_all_calls_are_drawn_or_the_slowest_of_each_stretch(stored: RunRecord) -> None:
    view = cell_views(stored)[0]
    assert view.measurement is not None
    calls = stored_evidence(stored)(view.measurement)[0].steady_ns
    (drawn,) = (b for b in detail_blocks(view, stored.head, stored_evidence(stored), points=30) if b.kind == "calls")
    warm, *rest = drawn.content[0]
    assert max(rest[warm:]) == int(calls.max())
    assert len(rest) - warm == 10
    assert "30 of 600" not in drawn.note
    assert drawn.note.endswith("the slowest of each stretch.")


@pytest.mark.parametrize("id_", list(ConditionId), ids=str)
def test_every_condition_says_what_to_do(id_: ConditionId) -> None:
    assert REMEDIES[id_].endswith(".")


def test_a_condition_comes_with_what_to_do(stored: RunRecord) -> None:
    rows = blocks(stored, 3)["Conditions"].content
    assert rows[1][0] == "THERMAL"
    assert rows[1][1] == "the phone was warm: thermal status LIGHT (39.5 °C)"
    assert rows[1][3] == REMEDIES[ConditionId.THERMAL]


def test_a_failed_cell_has_its_reason_and_its_log() -> None:
    own = blocks(make_run(cells()[:1], (failed(cells()[0], "it crashed"),)))
    assert own["Why there is no result"].content == ("it crashed",)
    assert own["Log"].content == ("SIGSEGV",)


def test_a_long_log_keeps_its_end() -> None:
    cell = cells()[0]
    lost = failed(cell)
    assert lost.failure is not None
    run = make_run((cell,), (replace(lost, failure=replace(lost.failure, detail="x" * 9000 + "the end")),))
    log = blocks(run)["Log"]
    assert log.content[0].endswith("the end")
    assert "of 9,007 characters" in log.note


def test_the_command_repeats_this_cell_and_nothing_else() -> None:
    (cell,) = (c for c in cells(model="net") if (c.variant, c.format) == ("int8", Format.TFLITE))
    spec = Spec(model=("net", "digits"), threads=(1, 4), launches=3, seed=7)
    words = shlex.split(cell_command(cell, spec))
    assert words == (
        ["phonebench", "run", "net", "--device", "host", "--format", "tflite", "--variant", "int8", "--delegate"]
        + ["xnnpack", "--threads", "1", "--profile", "quick", "--launches", "3", "--seed", "7"]
    )


def test_a_model_that_was_given_as_a_path_is_repeated_by_its_path() -> None:
    assert "my/nets" in cell_command(cells(model="net")[0], Spec(model=("my/nets",)))


def test_equal_blocks_are_stored_once() -> None:
    run = phone_run()
    data = details_json(cell_views(run), run.head, no_evidence)
    files = [block for block in data["blocks"] if data["words"][block[1]] == "Recipe of int8"]
    assert len(files) == 1
    assert len(data["cells"]) == 16


def test_a_launch_without_stored_calls_names_no_reply() -> None:
    cell = cells()[0]
    told = measurement(cell)
    told = replace(told, launches=tuple(replace(launch, reply_sha256="") for launch in told.launches))
    assert blocks(make_run((cell,), (told,)))["Launches"].note == ""


def test_a_lost_reply_costs_the_calls_alone(tmp_path: Path) -> None:
    run = store_large_run(tmp_path, replace(SHAPE, threads=(1,)))
    for path in (run.directory / REPLIES_FOLDER).iterdir():
        path.write_bytes(b"not gzip")
    own = blocks(run)
    assert "Calls over time" not in own
    assert {"Launches", "File", "Repeat this cell"} <= set(own)
    measurement = cell_views(run)[0].measurement
    assert measurement is not None
    assert steady_calls(stored_evidence(run))(measurement) == []


def test_kinds_of_blocks_are_those_that_the_script_lays_out() -> None:
    script = (Path(__file__).parents[2] / "harness/report/templates/house.js").read_text(encoding="utf-8")
    assert all(f'kind === "{kind.value}"' in script for kind in BlockKind)
