"""A model of two parts from the command line: one file, and the sums of its parts beside it."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import call_phonebench
from tests.model.parts import make_parts


def test_the_parts_are_run_apart_and_summed_beside_the_whole(tmp_path: Path) -> None:
    folder = str(make_parts(tmp_path / "two"))
    places = {"PHONEBENCH_CACHE": str(tmp_path / "cache")}
    run = call_phonebench("run", folder, "--parts", "-f", "onnx", "-v", "fp32", "--json", cwd=tmp_path, env=places)
    assert run.code == 0, run.err
    cells = {cell["key"]: cell for cell in run.json()["cells"]}
    assert {(c["model"], c["status"]) for c in cells.values()} == {
        (name, "ok") for name in ("two", "two.backbone", "two.head")
    }
    (found,) = run.json()["parts"]
    assert (found["parts"], len(found["apart_latency_ns"])) == (["two.backbone", "two.head"], 2)
    whole = cells[found["cell"]]
    assert (whole["model"], whole["artifact"]["bytes"]) == ("two", found["merged_bytes"])
    apart = {c["model"]: c["artifact"]["bytes"] for c in cells.values() if c["model"] != "two"}
    assert found["apart_bytes"] == [apart[name] for name in found["parts"]]
    shown = call_phonebench("show", cwd=tmp_path, env=places).out.replace("\n", " ")
    assert "two fp32 onnx cpu t1 on host" in shown
    assert "(two.backbone + two.head)" in shown


def test_parts_of_a_model_that_has_none_are_refused(tmp_path: Path) -> None:
    done = call_phonebench("run", "digits", "--parts", "--dry-run", cwd=tmp_path)
    assert done.code == 2
    assert "parts is set, but no model has parts (digits)" in done.err
