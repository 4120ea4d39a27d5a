"""``phonebench cloud``: runs on phones of AWS Device Farm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.console import print_json, print_run
from harness.cli.options import json_option, results_option, signature_option
from harness.cli.paths import PATH
from harness.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.clouds.cloud import CloudJob, CloudProgress
    from harness.clouds.package import CloudRun

NAME = "AWS Device Farm"


@click.group(short_help="Measure ready-made files on phones of AWS Device Farm.")
def cloud() -> None:
    """Measure ready-made files on phones of AWS Device Farm. Its figures carry the condition CLOUD.

    A job is a whole run: phonebench goes there with the files and the runner apps, and its run comes back.
    """


@cloud.command(short_help="Send a job, wait for it, and store its run.")
@click.argument("files", nargs=-1, required=True, type=PATH, metavar="ARTIFACT...")
@click.option("--project", metavar="ARN", required=True, help="The project of Device Farm.")
@click.option("--phone", metavar="MODEL", required=True, help="The phone's model, as Device Farm names it.")
@click.option("-p", "--profile", metavar="NAME", default="quick", show_default=True, help="quick or standard.")
@click.option(
    "--minutes",
    type=click.IntRange(5, 150),
    metavar="N",
    default=60,
    show_default=True,
    help="How long the job may take there.",
)
@click.option("--apks", type=PATH, metavar="DIR", help="Where the runner apps are.  [default: android_runner/apks]")
@click.option("--no-wait", is_flag=True, help="Print the ticket and end; fetch the run later.")
@signature_option
@results_option
@json_option
def run(
    files: tuple[Path, ...],
    project: str,
    phone: str,
    profile: str,
    minutes: int,
    apks: Path | None,
    no_wait: bool,
    require_signature: str | None,
    results: Path,
    as_json: bool,
) -> int:
    """Measure each ARTIFACT (.tflite, .onnx, .pte, .ptl) on a phone of Device Farm, and store the run.

    AWS charges for the minutes that the job has the phone. A signature beside an ARTIFACT goes along, for runner apps
    that check it. The run that comes back is not signed.
    """
    import tempfile

    from harness.cli.options import spec_from
    from harness.clouds.aws import open_device_farm
    from harness.clouds.package import CloudRun, apps_for
    from harness.clouds.wait import wait_for

    signed = _signed(files, require_signature)
    farm = open_device_farm(project)
    checked = spec_from(None, {"profile": profile}).profile
    what = CloudRun(files=files, apks=apps_for(files, apks), profile=checked, signed=signed)
    with tempfile.TemporaryDirectory() as folder:
        ticket = farm.submit(_job(what, Path(folder), phone=phone, minutes=minutes))
    if no_wait:
        print_json({"ticket": ticket}) if as_json else click.echo(ticket)
        return 0
    click.echo(f"ticket: {ticket}", err=True)
    # The job may also wait for a phone, for which there is no limit but the reader's patience.
    wait_for(farm, ticket, until_s=60.0 * (minutes + 60), say=_say)
    return _take(ticket, results, as_json=as_json)


@cloud.command(short_help="Show how far a job has got.")
@click.argument("ticket")
@json_option
def status(ticket: str, as_json: bool) -> None:
    """Show how far the job TICKET has got."""
    from harness.clouds.aws import open_device_farm

    progress = open_device_farm("").poll(ticket)
    if as_json:
        print_json({"ticket": ticket, "state": progress.state.value, "words": progress.words})
    else:
        click.echo(f"{progress.state.value}: {progress.words}")


@cloud.command(short_help="Stop a job.")
@click.argument("ticket")
def cancel(ticket: str) -> None:
    """Stop the job TICKET. What it has measured by then is lost."""
    from harness.clouds.aws import open_device_farm

    open_device_farm("").cancel(ticket)
    click.echo("stopped")


@cloud.command(short_help="Store the run of a job that has ended.")
@click.argument("ticket")
@results_option
@json_option
def fetch(ticket: str, results: Path, as_json: bool) -> int:
    """Store the run of the job TICKET, which must have ended. Fetching it again changes nothing."""
    return _take(ticket, results, as_json=as_json)


def _signed(files: Sequence[Path], key_file: str | None) -> Mapping[Path, frozenset[str]]:
    """The digests that the key has signed for each file; nothing without a requirement. Raises `SignatureError`."""
    if key_file is None:
        return {}
    from harness.signing.require import require_signatures

    verified = require_signatures(files, Path(key_file).expanduser())
    return {path: frozenset(one.digests.values()) for path, one in verified.items()}


def _job(what: CloudRun, folder: Path, *, phone: str, minutes: int) -> CloudJob:
    """The job that measures ``what``, with its package in ``folder``."""
    from harness.clouds.aws import test_spec
    from harness.clouds.cloud import CloudJob
    from harness.clouds.package import write_package

    package = write_package(what, folder / "phonebench.zip")
    return CloudJob(
        name="phonebench", package=package, test_spec=test_spec(), app=what.apks[0], phone=phone, minutes=minutes
    )


def _take(ticket: str, results: Path, *, as_json: bool) -> int:
    import tempfile

    from harness.cli.exit_codes import exit_code
    from harness.clouds.aws import open_device_farm
    from harness.clouds.cloud import FINAL
    from harness.clouds.take import take_run

    farm = open_device_farm("")
    progress = farm.poll(ticket)
    if progress.state not in FINAL:
        msg = f"the job has not ended ({progress.words}): wait for it, or stop it with phonebench cloud cancel {ticket}"
        raise CloudError(msg)
    with tempfile.TemporaryDirectory() as folder:
        record = take_run(farm.fetch(ticket, Path(folder)), results, NAME)
    if as_json:
        from harness.report.formats.json import show_json

        print_json(show_json(record))
    else:
        print_run(record)
    return exit_code(record)


def _say(progress: CloudProgress) -> None:
    click.echo(f"{progress.state.value}: {progress.words}", err=True)
