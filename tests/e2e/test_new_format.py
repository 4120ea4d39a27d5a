"""A format added by one row, one exporter and one runtime, all in this file, and found wherever formats are shown.

Phonebench builds and measures in processes of their own, so the format is added where every process passes: in a
``sitecustomize`` module, which Python imports when it starts. The contract with the runners is closed on purpose (a
phone must refuse a format that it does not know), so a new format is also one new member of `Format`; the module adds
it as the one line in ``harness/wire/names.py`` would.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.artifacts.export.language import LANGUAGE_EXPORTERS
from harness.artifacts.export.registry import EXPORTERS
from harness.runners.host.runtimes.registry import LANGUAGE_RUNTIMES, RUNTIMES
from harness.spec.formats import BACKENDS, FORMATS, Backend, own_formats
from harness.wire import Format
from tests.conftest import Called, call_phonebench
from tests.model.folders import make_folder

COLOUR = "#7b3294"

PLUGIN = f'''
import os

from harness.wire.names import Format

member = str.__new__(Format, "ts")
member._name_, member._value_ = "TS", "ts"
type.__setattr__(Format, "TS", member)
Format._member_names_.append("TS")
Format._member_map_["TS"] = Format._value2member_map_["ts"] = member

import ts_format
from harness.artifacts.export.registry import EXPORTERS
from harness.runners.host.runtimes.registry import RUNTIMES
from harness.spec.formats import FORMATS, FormatRow
from harness.spec.recipe import Precision
from harness.wire import Delegate

if "ONLY_TS" in os.environ:
    FORMATS.clear()
FORMATS[member] = FormatRow(
    delegates=(Delegate.CPU,),
    packages=("torch",),
    extras=("torch",),
    runtime_packages=("torch",),
    runtime_extras=("torch",),
    doctor=(("torch", "torch", "build and run .ts"),),
    revision=1,
    export_seconds=1,
    holes={{p: "a traced module is not quantised here" for p in Precision if p is not Precision.FP32}},
    colour="{COLOUR}",
)
EXPORTERS[member] = ts_format.TsExporter
RUNTIMES[member] = ts_format
'''

# Torch is imported inside the functions, as the runtimes of the package do.
CODE = """
from harness.wire import RuntimeReport


class TsExporter:
    def __init__(self, source):
        self._source = source

    def export(self, recipe, backend, path):
        import torch

        torch.jit.trace(self._source.exportable(), self._source.example()).save(str(path))


def import_runtime(request):
    import torch

    torch.set_num_threads(request.threads)


def load(path, request):
    import torch

    return TsSession(torch.jit.load(str(path)), request)


class TsSession:
    def __init__(self, module, request):
        self._module, self._request = module, request

    def inputs(self):
        return None

    def set_inputs(self, arrays):
        import torch

        self._tensors = [torch.from_numpy(array.copy()) for array in arrays]

    def invoke(self):
        self._result = self._module(*self._tensors)

    def outputs(self):
        return (self._result.detach().numpy().copy(),)

    def report(self):
        used = self._request.delegate
        return RuntimeReport(
            name="traced", version="1", delegate_requested=used, delegate_used=used.value, threads=1
        )

    def close(self):
        self._module = None
"""


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Called]:
    """The command line of a phonebench that has the format, in one folder with one cache."""
    folder = tmp_path_factory.mktemp("ts")
    plugin = folder / "plugin"
    plugin.mkdir()
    (plugin / "sitecustomize.py").write_text(PLUGIN)
    (plugin / "ts_format.py").write_text(CODE)
    make_folder(folder / "own")
    path = f"{Path(__file__).parents[2]}:{plugin}"
    cache = str(folder / "cache")

    def phonebench(*args: str, **env: str) -> Called:
        done = call_phonebench(*args, cwd=folder, env={"PYTHONPATH": path, "PHONEBENCH_CACHE": cache} | env)
        assert done.code == 0, done.err
        return done

    return phonebench


@pytest.fixture(scope="module")
def results(call: Callable[..., Called], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stored run of one model as ``.ts`` on the host, with its report."""
    folder = tmp_path_factory.mktemp("results")
    call("run", "own", "-f", "ts", "-v", "fp32", "--results", str(folder))
    return next(path.parent for path in folder.rglob("run.json"))


def test_the_plan_has_it_among_the_default_formats(call: Callable[..., Called]) -> None:
    out = call("run", "own", "-v", "fp32", "-v", "int8", "--dry-run").out
    assert "own-fp32-ts-cpu-t1-host-quick" in out
    assert "a traced module is not quantised here" in out


def test_the_formats_command_builds_and_runs_it(call: Callable[..., Called]) -> None:
    table = json.loads(call("formats", "--json", ONLY_TS="1").out)
    assert {(v["variant"], v["state"]) for v in table["variants"] if v["format"] == "ts"} >= {("fp32", "works")}
    assert [(d["delegate"], d["state"]) for d in table["delegates"]] == [("cpu", "works")]


def test_the_help_names_it(call: Callable[..., Called]) -> None:
    assert "gguf, ts" in " ".join(call("run", "--help").out.split())


def test_the_doctor_names_its_packages(call: Callable[..., Called]) -> None:
    assert "build and run .ts" in call("doctor").out


def test_it_is_measured_and_its_rows_and_marks_are_in_the_report(results: Path) -> None:
    with next(results.rglob("table.csv")).open() as file:
        (row,) = csv.DictReader(file)
    assert (row["format"], row["status"]) == ("ts", "ok")
    assert float(row["latency_median_ns"]) > 0
    assert COLOUR in next(results.rglob("report.html")).read_text()


def test_every_format_of_the_contract_has_its_row() -> None:
    assert set(FORMATS) == set(Format)


@pytest.mark.parametrize("format_", list(own_formats()))
def test_every_format_of_our_own_has_its_code(format_: Format) -> None:
    """What a new member of `Format` must have; it fails before a chart or a build would."""
    row = FORMATS[format_]
    assert (format_ in EXPORTERS) is not row.only_language
    assert (format_ in RUNTIMES) is (row.runs_here and not row.only_language)
    assert (format_ in LANGUAGE_EXPORTERS) is (format_ in LANGUAGE_RUNTIMES) is (row.language is not None)


def test_every_backend_has_a_row() -> None:
    assert set(BACKENDS) == set(Backend)
