"""A run in every form that ``phonebench report --to`` writes, and runs side by side."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from harness.cli import cli
from harness.errors import UsageError
from harness.plan.cells import Hole
from harness.report.formats.compared import compared_page
from harness.report.formats.ipynb import notebook_text
from harness.report.formats.markdown import MOST_CHARACTERS, markdown_text
from harness.report.outputs import Output, write_as
from harness.store.reader import read_folder
from harness.store.records import RunRecord
from harness.store.writer import create_run
from tests.report.browser import BROWSER
from tests.report.builders import PHONE, cells, failed, host_run, make_run, measurement, phone_run
from tests.report.large import Shape, planned_cells, store_large_run

SHAPE = Shape(variants=2, launches=2, calls=80)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one run, and with the same run under another id."""
    root = tmp_path_factory.mktemp("results")
    run = store_large_run(root, SHAPE)
    other = root / "20261124-000000-aaaa"
    shutil.copytree(run.directory, other)
    head = other / "run.json"
    head.write_text(head.read_text(encoding="utf-8").replace(run.head.id, other.name), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def stored(results: Path) -> RunRecord:
    return read_folder(results / "20261123-014001-5f3a")


@pytest.mark.parametrize(
    ("output", "name"), [(Output.MARKDOWN, "report.md"), (Output.CSV, "table.csv"), (Output.NOTEBOOK, "report.ipynb")]
)
def test_a_form_is_written_where_it_was_asked_for(output: Output, name: str, stored: RunRecord, tmp_path: Path) -> None:
    assert write_as(output, stored, tmp_path)[0] == tmp_path / name
    assert (tmp_path / name).read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written_is_found_before_anything_is_drawn(stored: RunRecord, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code = (
        "import sys; from pathlib import Path\n"
        "from harness.errors import StoreError\n"
        "from harness.report.outputs import Output, write_as\n"
        "from harness.store.reader import read_folder\n"
        "run, folder = map(Path, sys.argv[1:])\n"
        "try: write_as(Output.HTML, read_folder(run), folder)\n"
        "except StoreError as error: print(error, 'matplotlib' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code, str(stored.directory), str(tmp_path / "file" / "report")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("cannot write to")
    assert done.stdout.split()[-1] == "False"


def test_charts_are_pictures_of_some_size(stored: RunRecord, tmp_path: Path) -> None:
    written = write_as(Output.PNG, stored, tmp_path)
    assert {path.stem for path in written} >= {"latency", "quality", "trace", "operators", "memory", "size"}
    for path in written:
        with Image.open(path) as picture:
            assert min(picture.size) > 150
    assert len(write_as(Output.SVG, stored, tmp_path)) == len(written)


def test_markdown_has_the_answer_and_every_cell() -> None:
    text = markdown_text(host_run())
    assert text.startswith("**Of the smallest files, the closest to the float model is int8-dynamic onnx")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 15
    assert len({row.count(" | ") for row in rows}) == 1


@pytest.mark.parametrize("models", [10, 40])
def test_markdown_of_a_large_run_fits_a_comment_and_says_what_was_cut(models: int) -> None:
    planned = planned_cells(replace(SHAPE, models=models, phones=4, variants=4))
    run = make_run(planned, tuple(replace(measurement(c), cell=c.key) for c in planned), device=PHONE)
    text = markdown_text(run)
    assert len(text) <= MOST_CHARACTERS
    cut = re.search(r"\*(\d+) of (\d+) rows were cut; table.csv has all", text)
    assert cut
    shown = sum(line.startswith("| ") for line in text.splitlines()) - 2
    assert (int(cut[2]), int(cut[1]) + shown) == (len(planned), len(planned))


def test_even_text_without_tables_is_cut() -> None:
    holes = tuple(
        Hole(cell=replace(cells()[0], key=str(i), variant=f"v{i}"), reason="x" * 900 + "abcdefghij"[i % 10] * i)
        for i in range(120)
    )
    text = markdown_text(make_run((), (), holes=holes))
    assert len(text) <= MOST_CHARACTERS
    assert "The end was cut" in text


@pytest.mark.parametrize("bad", ["<b>|*_`[x](y)", "a\nb|c", "# not a heading"])
def test_a_name_is_no_markup_in_markdown(bad: str) -> None:
    run = make_run((), (), holes=(Hole(cell=cells()[0], reason=bad),))
    line = next(line for line in markdown_text(run).splitlines() if "unsupported" in line)
    assert "<" not in line
    assert not re.search(r"(?<!\\)[|*`\[\]#]", line)


def test_the_notebook_loads_the_run_and_shows_its_frames(stored: RunRecord) -> None:
    notebook = json.loads(notebook_text(stored, stored.directory))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(ids) == len(set(ids))
    space: dict[str, object] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), space)
    assert getattr(space["run"], "id") == stored.head.id  # noqa: B009


@pytest.mark.skipif(BROWSER is None, reason="missing: a browser; run: apt-get install chromium")
def test_the_page_is_printed_by_a_browser(stored: RunRecord, tmp_path: Path) -> None:
    pdf, page = write_as(Output.PDF, stored, tmp_path)
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert page.name == "report.html"


def test_without_a_browser_a_pdf_says_what_to_install(
    stored: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="apt-get install chromium, or use --to html"):
        write_as(Output.PDF, stored, tmp_path)


def test_runs_side_by_side_have_a_verdict_for_each_cell_and_their_figures(results: Path) -> None:
    runs = [read_folder(path) for path in sorted(results.iterdir()) if (path / "run.json").exists()]
    page = compared_page([*runs, runs[0]])
    assert "3 runs side by side" in page
    assert page.count("against run 20261123-014001-5f3a") == 2
    assert "latency, µs, A" in page
    assert "latency, µs, C" in page
    # The same launches: no change, so no verdict but equal or undecided.
    assert ">regressed<" not in page
    assert ">equivalent<" in page
    assert "http" not in page


def test_the_command_line_writes_each_form_and_pages_of_several_runs(results: Path, tmp_path: Path) -> None:
    def call(*words: str) -> str:
        done = CliRunner().invoke(cli, ["report", "--results", str(results), *words])
        assert done.exit_code == 0, done.output
        return done.output

    assert call("latest", "--to", "md", "-o", str(tmp_path)) == f"report: {tmp_path / 'report.md'}\n"
    told = json.loads(call("20261123", "--to", "csv", "-o", str(tmp_path), "--json"))
    with Path(told["files"][0]).open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == SHAPE.cells
    page = Path(call("20261123", "20261124", "-o", str(tmp_path)).removeprefix("report: ").strip())
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    compared = CliRunner().invoke(
        cli, ["compare", "20261123", "20261124", "--html", "--results", str(results), "--json"]
    )
    assert "report: " in compared.stderr
    json.loads(compared.stdout)


def test_operator_times_are_node_data_for_the_model_explorer(stored: RunRecord, tmp_path: Path) -> None:
    written = write_as(Output.MODEL_EXPLORER, stored, tmp_path)
    profiles = [m.operators for m in stored.measurements if m.operators]
    assert len(written) == len(profiles)
    data = json.loads(written[0].read_text(encoding="utf-8"))["main"]
    # By hand: ten calls took this many ns in all.
    expected = {o.name: pytest.approx((o.total_ns or 0) / 10 / 1e6) for o in profiles[0].operators}
    assert {name: entry["value"] for name, entry in data["results"].items()} == expected
    assert [stop["stop"] for stop in data["gradient"]] == [0, 0.5, 1]


def test_without_a_profile_there_is_no_node_data(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="measure with --operators"):
        write_as(Output.MODEL_EXPLORER, host_run(), tmp_path)


def test_several_runs_make_a_page_and_nothing_else(results: Path) -> None:
    done = CliRunner().invoke(cli, ["report", "20261123", "20261124", "--to", "csv", "--results", str(results)])
    assert done.exit_code != 0
    assert "--to csv takes one RUN" in f"{done.output}{done.exception}"


def test_a_folder_that_cannot_be_written_is_named(stored: RunRecord, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    words = ["report", str(stored.directory), "--to", "md", "-o", str(tmp_path / "file")]
    done = CliRunner().invoke(cli, words, catch_exceptions=True)
    assert done.exit_code != 0
    assert "file" in str(done.exception or done.output)


@pytest.mark.parametrize("run", [make_run((), ()), make_run(cells(), ()), phone_run()], ids=["none", "pending", "some"])
def test_every_text_form_copes_with_little(run: RunRecord, tmp_path: Path) -> None:
    assert markdown_text(run).strip()
    json.loads(notebook_text(run, tmp_path))


def test_charts_of_a_run_without_measured_cells_are_refused_with_the_reason(tmp_path: Path) -> None:
    planned = cells()[:1]
    with create_run(tmp_path, make_run(planned, ()).head) as writer:
        writer.add(failed(planned[0]))
    done = CliRunner().invoke(cli, ["report", "latest", "--to", "png", "--results", str(tmp_path)])
    assert isinstance(done.exception, UsageError)
    assert "has no charts, because none of its cells has figures" in str(done.exception)
