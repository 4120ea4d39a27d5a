"""``phonebench import`` and ``phonebench export`` as a user calls them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.exchange.exporters.registry import EXPORTERS
from harness.exchange.importers.registry import IMPORTERS
from harness.store.listing import listed_runs
from tests.cli.calls import call

ROOT = Path(__file__).parents[2]
FILES = Path(__file__).parent / "files"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one imported run."""
    root = tmp_path_factory.mktemp("results")
    done = call("import", str(FILES / "react_native.json"), "--results", str(root))
    assert done.code == 0, done.err
    return root


def run_of(text: str) -> str:
    found = re.search(r"imported as run (\S+)", text)
    assert found is not None
    return found[1]


def test_an_import_is_a_run_that_show_and_report_take(results: Path) -> None:
    shown = call("show", "--results", str(results))
    assert shown.code == 0
    assert "Imported from react_native.json (react-native-executorch et-1.4.1, 4 cells)" in shown.out
    assert "Nothing is recommended among imported results" in shown.out
    written = call("report", "--results", str(results))
    assert written.code == 0, written.err
    page = next(results.glob("*/report.html")).read_text()
    assert "react_native.json" in page
    assert "phonebench import react_native.json" in page


def test_two_imports_are_compared_where_their_settings_agree(tmp_path: Path) -> None:
    def imported(times: str) -> str:
        file = tmp_path / "bench.json"
        file.write_text((FILES / "google_benchmark.json").read_text().replace('"library_build_type": "release"', times))
        return run_of(call("import", str(file), "--results", str(tmp_path / "r")).err)

    a, b = imported('"library_build_type": "release"'), imported('"library_build_type": "release"')
    other = imported('"library_build_type": "debug"')
    same = call("compare", a, b, "--results", str(tmp_path / "r"), "--json")
    assert json.loads(same.out)["cells"][0]["metrics"][0]["change"] == 0
    differing = call("compare", a, other, "--results", str(tmp_path / "r"), "--json")
    assert json.loads(differing.out)["cells"][0]["differing"] == [
        {"key": "library build", "a": "release", "b": "debug"}
    ]


def test_a_run_has_a_commit_only_if_all_files_name_it(tmp_path: Path) -> None:
    def commit(*files: str) -> object:
        done = call("import", *(str(FILES / file) for file in files), "--results", str(tmp_path))
        return json.loads((tmp_path / run_of(done.err) / "run.json").read_text())["commit"]

    named = json.loads((FILES / "pytest_benchmark.json").read_text())["commit_info"]["id"]
    assert commit("pytest_benchmark.json") == named
    # The other file says nothing of a commit, so that of the first is not that of its cells.
    assert commit("pytest_benchmark.json", "google_benchmark.json") is None


def test_an_import_says_that_a_last_line_was_cut_off(tmp_path: Path) -> None:
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes((FILES / "leaderboard.jsonl").read_bytes() + b'{"model": "po')
    done = call("import", str(cut), "--results", str(tmp_path / "r"))
    assert "not used: cut.jsonl: the last line, which is cut off" in done.err


def test_an_imported_run_can_be_exported_again(results: Path, tmp_path: Path) -> None:
    done = call("export", "--to", "bencher", "-o", str(tmp_path / "bmf.json"), "--results", str(results))
    assert done.code == 0, done.err
    assert "not in it: the device" in done.err
    assert "cells left out: 1 failed, 1 unsupported" in done.err
    assert len(json.loads((tmp_path / "bmf.json").read_text())) == 2


def test_nothing_is_stored_unless_every_file_can_be_read(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"meta": ')
    done = call("import", str(FILES / "mlperf.json"), str(bad), "--results", str(tmp_path / "r"))
    assert (done.code, listed_runs(tmp_path / "r")) == (2, ())
    assert "'bad.json' is not in a format that phonebench reads: its JSON is damaged or cut off" in done.err


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("import",), 2, "name the files to import"),
        (("import", "no-such-file"), 2, "No such file or directory; check the path"),
        (("import", str(FILES)), 2, "is a folder: name the result files in it"),
        (("import", str(FILES / "mlperf.json"), "--from", "nothing"), 2, "unknown format 'nothing'"),
        (("export",), 2, "name the format with --to and the place with --output"),
        (("export", "--to", "bencher"), 2, "phonebench export latest --to bencher --output PATH"),
        (("export", "--to", "benchmarker"), 2, "unknown format 'benchmarker'"),
    ],
)
def test_a_mistake_is_a_sentence_with_its_exit_code(args: tuple[str, ...], code: int, words: str) -> None:
    done = call(*args)
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("--to", "benchr", "-o", "x"), 2, "did you mean 'bencher'"),
        (("--to", "bencher", "-o", "x", "--cell", "nowhere"), 2, "has 'nowhere' in its key"),
        (("--to", "bencher", "-o", "x", "--cell", "BROKEN"), 2, "use a format that has, such as --to junit"),
        (("--to", "litert", "-o", "x"), 2, "--to litert is for .tflite files"),
        (("--to", "bencher", "-o", "/proc/nothing/x"), 6, "cannot write to"),
        (("--to", "aihub-profile", "-o", str(FILES / "mlperf.json")), 6, "is a file, and the export has 2 files"),
    ],
)
def test_an_export_that_cannot_be_ends_in_a_sentence(
    results: Path, args: tuple[str, ...], code: int, words: str
) -> None:
    done = call("export", *args, "--results", str(results))
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert not (Path.cwd() / "x").exists()


def test_an_imported_run_cannot_be_resumed_or_become_a_night(results: Path) -> None:
    resumed = call("run", "--resume", "--results", str(results))
    assert (resumed.code, "nothing to resume" in resumed.err) == (2, True)
    ingested = call("history", "ingest", "--results", str(results))
    assert (ingested.code, "takes only runs of phonebench" in ingested.err) == (2, True)


@pytest.mark.parametrize("name", EXPORTERS)
def test_a_run_of_the_first_version_can_be_exported(name: str, tmp_path: Path) -> None:
    old = ROOT / "tests" / "golden" / "results" / "finished"
    done = call("export", str(old), "--to", name, "-o", str(tmp_path / "out"))
    # Its cells are .onnx.
    assert done.code == (2 if EXPORTERS[name].formats else 0), done.err


def test_an_import_that_cannot_be_stored_ends_in_a_sentence() -> None:
    done = call("import", str(FILES / "mlperf.json"), "--results", "/proc/nothing")
    assert done.code == 6
    assert "cannot write to '/proc/nothing'" in done.err


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    with large.open("wb") as file:
        file.truncate(100 << 20)
    done = call("import", str(large), "--results", str(tmp_path / "r"))
    assert done.code == 2
    assert "has 100 MiB, and at most 32 are read" in done.err


def test_the_lists_and_the_tables_of_the_docs_have_every_row() -> None:
    text = (ROOT / "docs" / "exchange.md").read_text()
    for exporter in EXPORTERS.values():
        losses = ", ".join(exporter.loses)
        assert f"| `{exporter.name}` | {exporter.title} | {exporter.fields} | {losses} |" in text
    for importer in IMPORTERS.values():
        assert f"| `{importer.name}` | {importer.title} | {importer.fields} | {importer.unknown} |" in text
    assert [row["name"] for row in json.loads(call("export", "--list", "--json").out)] == list(EXPORTERS)
    assert all(name in call("import", "--list").out for name in IMPORTERS)
