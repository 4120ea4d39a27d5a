"""From the command line to a spec, and from a stored run to an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from harness.cli.exit_codes import exit_code
from harness.cli.options import places_options, spec_from, spec_options
from harness.errors import UnknownNameError, UsageError
from harness.plan.cells import Plan
from harness.records.measurement import CellStatus, Measurement
from harness.spec.formats import own_formats
from harness.spec.spec import Spec
from harness.system.paths import cache_folder
from harness.wire import Delegate, Failure, FailureKind, Format
from tests.report.builders import make_run


def parsed(*args: str) -> Spec:
    """The spec that a command with all the options makes of ``args``."""
    made: list[Spec] = []

    @click.command()
    @spec_options
    def command(spec_file: Path | None, **given: Any) -> None:
        made.append(spec_from(spec_file, given))

    command.main(list(args), standalone_mode=False)
    return made[0]


def test_no_options_are_the_default_spec() -> None:
    assert parsed() == Spec()


@pytest.mark.parametrize(
    "args",
    [
        ("-f", "onnx,pte", "-t", "1,4"),
        ("-f", "onnx", "-f", "pte", "-t", "1", "-t", "4"),
        ("--format", " onnx , pte ,", "--threads", "1,4,1"),
    ],
)
def test_lists_are_separated_by_commas_or_repeated(args: tuple[str, ...]) -> None:
    spec = parsed(*args)
    assert (spec.format, spec.threads) == ((Format.ONNX, Format.PTE), (1, 4))


def test_every_option_says_what_its_key_says(tmp_path: Path) -> None:
    file = tmp_path / "spec.toml"
    file.write_text(
        'model = ["a", "b"]\ndevice = "fake"\nformat = "ptl"\nvariant = "int8"\ndelegate = "cpu"\nthreads = 2\n'
        'profile = "standard"\nlaunches = 4\ntimeout = 60\ndata = "d"\ninput = "x:int8:1"\nrandom_weights = true\n'
        "seed = 3\n"
    )
    by_options = (
        "a b -d fake -f ptl -v int8 --delegate cpu -t 2 -p standard --launches 4 --timeout 60 --data d "
        "--input x:int8:1 --random-weights --seed 3"
    )
    assert parsed("--spec", str(file)) == parsed(*by_options.split()) != Spec()


def test_options_go_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "spec.toml"
    file.write_text('format = ["onnx", "pte"]\nthreads = [1, 2]\nlaunches = 3\n')
    spec = parsed("--spec", str(file), "--format", "ptl", "--launches", "5")
    assert (spec.format, spec.threads, spec.launches) == ((Format.PTL,), (1, 2), 5)


def test_a_mistake_is_reported_where_it_is(tmp_path: Path) -> None:
    file = tmp_path / "spec.toml"
    file.write_text('variant = "fp32"\n')
    with pytest.raises(UnknownNameError) as caught:
        parsed("--spec", str(file), "--format", "onx")
    assert "spec.toml" not in str(caught.value)
    file.write_text('format = "onx"\n')
    with pytest.raises(UnknownNameError, match=r"spec\.toml"):
        parsed("--spec", str(file), "--variant", "int8")


@pytest.mark.parametrize("text", ["two", "1.5", "-1", "0x2", "1e2"])
def test_threads_are_whole_numbers(text: str) -> None:
    with pytest.raises(UsageError, match="whole numbers"):
        parsed(f"--threads={text}")


def test_an_empty_list_is_refused_and_an_empty_delegate_is_the_usual_one() -> None:
    assert parsed("--delegate", ",").delegate == ()
    with pytest.raises(UsageError, match="format is empty"):
        parsed("--format", ",")


def test_every_choice_is_named_in_the_help() -> None:
    @click.command()
    @spec_options
    def command(**_given: Any) -> None:
        """Do nothing."""

    text = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    # Unknown delegates stand only in imported results.
    choices = {*own_formats(), *Delegate, *Spec().variant} - {Delegate.UNKNOWN}
    for name in sorted(choices):
        assert name in text


def test_places_come_from_options_before_the_environment(tmp_path: Path) -> None:
    seen: list[tuple[Path, Path | None]] = []

    @click.command()
    @places_options
    def command(results: Path, cache_dir: Path | None) -> None:
        seen.append((results, cache_dir))

    env = {"PHONEBENCH_RESULTS": "r", "PHONEBENCH_CACHE": "c"}
    for args, variables in (((), {}), ((), env), (("--results", "x", "--cache-dir", "y"), env)):
        command.main(args=list(args), standalone_mode=False) if not variables else CliRunner().invoke(
            command, list(args), env=variables
        )
    assert seen == [(Path("results"), None), (Path("r"), Path("c")), (Path("x"), Path("y"))]
    assert cache_folder(tmp_path) == tmp_path
    assert "phonebench" in cache_folder(None).parts


FAILURE = Failure(kind=FailureKind.CRASH, message="SIGSEGV")


def cell(status: CellStatus, failure: Failure | None = None) -> Measurement:
    return Measurement(cell=f"{status}-{failure}", status=status, failure=failure, started_at="", ended_at="")


OK, HOLE = cell(CellStatus.OK), cell(CellStatus.UNSUPPORTED)
UNBUILT, BROKEN, CRASHED = cell(CellStatus.FAILED), cell(CellStatus.BROKEN), cell(CellStatus.FAILED, FAILURE)


@pytest.mark.parametrize(
    ("measurements", "code"),
    [
        ((OK,), 0),
        ((OK, HOLE), 0),
        ((OK, BROKEN), 4),
        ((OK, UNBUILT), 4),
        ((OK, CRASHED), 5),
        ((BROKEN, UNBUILT, CRASHED), 5),
        ((HOLE,), 4),
        ((), 4),
    ],
)
def test_the_exit_code_says_who_is_to_blame(measurements: tuple[Measurement, ...], code: int) -> None:
    record = make_run((), measurements)
    assert record.head.plan == Plan(cells=(), holes=())
    assert exit_code(record) == code
