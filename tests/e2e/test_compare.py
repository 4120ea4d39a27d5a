"""``phonebench compare`` on stored runs of scripted phones, and on invalid folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.plan.cells import Plan, make_cell
from harness.spec.profiles import ProfileName
from harness.spec.spec import Spec
from harness.store.records import RunHead
from harness.store.writer import create_run
from harness.wire import Delegate, Format
from tests.compare.timed_runs import LEVEL, timed
from tests.report.builders import FACTS, HOST, PHONE, measurement

CELL = make_cell("digits", "fp32", Format.ONNX, Delegate.CPU, 1, PHONE.key, ProfileName.STANDARD)


def stored(root: Path, name: str, factor: float) -> Path:
    """A run of one cell, ``factor`` times as slow, without raw replies."""
    head = RunHead(
        id=name, created_at="2026-11-23T01:40:01Z", spec=Spec(device=(PHONE.key,)), plan=Plan(cells=(CELL,), holes=()),
        models=(FACTS,), devices=(PHONE,), host=HOST, versions={}, commit=None,
    )  # fmt: skip
    with create_run(root, head) as writer:
        writer.add(timed(measurement(CELL, launches=5), [factor * us for us in LEVEL]))
    return root / name


def compare(root: Path, *args: str) -> Result:
    return CliRunner().invoke(cli, ["compare", *args, "--results", str(root)], standalone_mode=False)


@pytest.mark.parametrize(
    ("factor", "args", "code"), [(1.0, (), 0), (1.2, (), 10), (0.8, (), 0), (1.2, ("--margin", "50"), 0)]
)
def test_a_regression_is_exit_code_10(tmp_path: Path, factor: float, args: tuple[str, ...], code: int) -> None:
    stored(tmp_path, "a", 1.0)
    stored(tmp_path, "b", factor)
    found = compare(tmp_path, "a", "b", *args)
    assert found.return_value == code, found.output


def test_undecided_fails_only_where_asked(tmp_path: Path) -> None:
    stored(tmp_path, "a", 1.0)
    b = stored(tmp_path, "b", 1.0)
    lines = b / "measurements.jsonl"
    record = json.loads(lines.read_text())
    record["launches"] = record["launches"][:1]
    lines.write_text(json.dumps(record) + "\n")
    assert compare(tmp_path, "a", "b").return_value == 0
    assert compare(tmp_path, "a", "b", "--fail-on-undecided").return_value == 15


def test_what_two_runs_do_not_record_is_noted(tmp_path: Path) -> None:
    stored(tmp_path, "a", 1.0)
    stored(tmp_path, "b", 1.0)
    assert "Note: neither run records the inputs, which may differ." in compare(tmp_path, "a", "b").output
    assert json.loads(compare(tmp_path, "a", "b", "--json").output)["cells"][0]["notes"]


def test_json_is_printed_alone(tmp_path: Path) -> None:
    stored(tmp_path, "a", 1.0)
    stored(tmp_path, "b", 1.2)
    shown = json.loads(compare(tmp_path, "a", "b", "--json").output)
    assert (shown["run_a"], shown["run_b"], shown["verdict"]) == ("a", "b", "regressed")


def test_a_run_without_raw_replies_is_compared(tmp_path: Path) -> None:
    shutil.rmtree(stored(tmp_path, "a", 1.0) / "replies")
    shutil.rmtree(stored(tmp_path, "b", 1.0) / "replies")
    assert compare(tmp_path, "a", "b").return_value == 0


def test_a_run_of_another_schema_is_refused_with_both_versions(tmp_path: Path) -> None:
    stored(tmp_path, "a", 1.0)
    head = stored(tmp_path, "b", 1.0) / "run.json"
    head.write_text(head.read_text().replace('"schema": 1', '"schema": 7'))
    found = compare(tmp_path, "a", "b")
    assert found.exception is not None
    assert "schema 7, but this phonebench reads schema 1" in str(found.exception)
