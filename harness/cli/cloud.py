"""``phonebench cloud``: runs on phones of AWS Device Farm and Firebase Test Lab."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import make_progress, print_json, print_run, print_table
from harness.cli.options import json_option, places, places_options, signature_option
from harness.cli.paths import PATH
from harness.errors import CloudError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.clouds.cloud import BatchCloud, CloudJob, CloudProgress
    from harness.clouds.kinds import CloudKind
    from harness.clouds.package import CloudRun
    from harness.store.records import RunRecord
    from harness.workflows.bench import Places

AWS = "aws"
_FIREBASE_ONLY = ("android", "launches", "bucket")


@click.group(short_help="Measure ready-made files on phones of a cloud.")
def cloud() -> None:
    """Measure ready-made files on phones of a cloud. Its figures carry the condition CLOUD.

    AWS Device Farm has a host beside the phone: phonebench goes there with the files and the runner apps, and its run
    comes back. Firebase Test Lab has none: the runner apps start themselves, and the run is put together here.
    """


@cloud.command(short_help="Send a job, wait for it, and store its run.")
@click.argument("files", nargs=-1, required=True, type=PATH, metavar="ARTIFACT...")
@click.option("--cloud", "cloud_name", metavar="NAME", default=AWS, show_default=True, help="aws or firebase.")
@click.option(
    "--project", metavar="ID", help="The ARN of the project of Device Farm, or a Google project.  [default: gcloud's]"
)
@click.option("--phone", metavar="MODEL", required=True, help="The phone's model, as the cloud names it.")
@click.option("--android", metavar="LEVEL", help="Firebase: the API level, such as 34.  [default: the newest]")
@click.option("-p", "--profile", metavar="NAME", default="quick", show_default=True, help="quick or standard.")
@click.option(
    "--launches", type=click.IntRange(1, 50), metavar="N", help="Firebase: launches per file.  [default: 1 or 5]"
)
@click.option(
    "--minutes",
    type=click.IntRange(5, 150),
    metavar="N",
    help="How long the job may take there.  [default: 60 or 45]",
)
@click.option("--bucket", metavar="NAME", help="Firebase: the bucket for the results.  [default: Test Lab's own]")
@click.option("--apks", type=PATH, metavar="DIR", help="Where the runner apps are.  [default: android_runner/apks]")
@click.option("--no-wait", is_flag=True, help="Print the ticket and end; fetch the run later.")
@signature_option
@places_options
@json_option
def run(
    cloud_name: str,
    minutes: int | None,
    no_wait: bool,
    results: Path,
    cache_dir: Path | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Measure each ARTIFACT (.tflite, .onnx, .pte, .ptl) on a phone of a cloud, and store the run.

    The cloud charges for the minutes that the job has the phone. A signature beside an ARTIFACT goes along, for runner
    apps that check it. The run that comes back is not signed.
    """
    from harness.clouds.kinds import kind_named
    from harness.clouds.wait import wait_for

    kind, where = kind_named(cloud_name), places(results, cache_dir)
    lasting = _minutes(kind, minutes)
    opened = kind.open(options["project"] or "", options["bucket"] or "")
    send = _send_app if kind.alone else _send_package
    ticket = send(opened, options, lasting, where)
    if no_wait:
        print_json({"ticket": ticket}) if as_json else click.echo(ticket)
        return 0
    click.echo(f"ticket: {ticket}", err=True)
    # The job may also wait for a phone, for which there is no limit but the reader's patience.
    wait_for(opened, ticket, until_s=60.0 * (lasting + 60), say=_say)
    return _take(ticket, where, as_json=as_json)


@cloud.command(short_help="List the phones of Firebase Test Lab.")
@click.option("--project", metavar="ID", help="A Google project.  [default: gcloud's]")
@json_option
def phones(project: str | None, as_json: bool) -> None:
    """List the phones of Firebase Test Lab that can run the runner apps: real ones first, then virtual ones."""
    import msgspec

    from harness.clouds.catalog import list_models

    models = list_models(project or "")
    if as_json:
        print_json([msgspec.to_builtins(model) for model in models])
        return
    rows = [(m.id, m.name, m.form.lower(), " ".join(m.versions), " ".join(m.abis)) for m in models]
    print_table(("model", "name", "form", "API levels", "ABIs"), rows)


@cloud.command(short_help="Show how far a job has got.")
@click.argument("ticket")
@json_option
def status(ticket: str, as_json: bool) -> None:
    """Show how far the job TICKET has got."""
    progress = _opened(ticket).poll(ticket)
    if as_json:
        print_json({"ticket": ticket, "state": progress.state.value, "words": progress.words})
    else:
        click.echo(f"{progress.state.value}: {progress.words}")


@cloud.command(short_help="Stop a job.")
@click.argument("ticket")
def cancel(ticket: str) -> None:
    """Stop the job TICKET. What it has measured by then is lost."""
    _opened(ticket).cancel(ticket)
    click.echo("stopped")


@cloud.command(short_help="Store the run of a job that has ended.")
@click.argument("ticket")
@places_options
@json_option
def fetch(ticket: str, results: Path, cache_dir: Path | None, as_json: bool) -> int:
    """Store the run of the job TICKET, which must have ended. Fetching it again changes nothing."""
    return _take(ticket, places(results, cache_dir), as_json=as_json)


def _opened(ticket: str) -> BatchCloud:
    from harness.clouds.kinds import cloud_of

    return cloud_of(ticket).open("", "")


def _minutes(kind: CloudKind, minutes: int | None) -> int:
    if minutes is not None and minutes > kind.most_minutes:
        msg = f"a job of {kind.title} may take {kind.most_minutes} minutes at most, not {minutes}"
        raise UsageError(msg)
    return minutes or kind.minutes


def _send_package(opened: BatchCloud, options: dict[str, Any], minutes: int, where: Places) -> str:  # noqa: ARG001
    """Send phonebench itself with the files, and return the ticket."""
    import tempfile

    from harness.cli.options import spec_from
    from harness.clouds.package import CloudRun, apps_for

    given = [f"--{name}" for name in _FIREBASE_ONLY if options[name] is not None]
    if given:
        msg = f"{', '.join(given)} is for Firebase Test Lab: leave it out, or add --cloud firebase"
        raise UsageError(msg)
    if not options["project"]:
        msg = "AWS Device Farm needs the ARN of a project: give --project ARN"
        raise UsageError(msg)
    files = options["files"]
    signed = _signed(files, options["require_signature"])
    profile = spec_from(None, {"profile": options["profile"]}).profile
    what = CloudRun(files=files, apks=apps_for(files, options["apks"]), profile=profile, signed=signed)
    with tempfile.TemporaryDirectory() as folder:
        return opened.submit(_job(what, Path(folder), phone=options["phone"], minutes=minutes))


def _send_app(opened: BatchCloud, options: dict[str, Any], minutes: int, where: Places) -> str:
    """Send the runner apps with the files in them, and return the ticket."""
    from harness.cli.options import spec_from
    from harness.clouds.catalog import choose_phone, list_models
    from harness.clouds.cloud import CloudName
    from harness.clouds.package import formats_of
    from harness.workflows.cloud_loop import LoopChoice, send_loop

    formats_of(options["files"])
    # Absolute, because the run is completed later, perhaps from another folder.
    models = [str(path.absolute()) for path in options["files"]]
    chosen = {name: options[name] for name in ("profile", "launches", "require_signature")} | {"model": models}
    spec = spec_from(None, chosen)
    phone = choose_phone(list_models(options["project"] or ""), options["phone"], options["android"])
    choice = LoopChoice(cloud=CloudName.FIREBASE, phone=phone, minutes=minutes, apks=options["apks"])
    return send_loop(spec, choice, opened, where, make_progress())


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
    from harness.clouds.cloud import CloudApp, CloudJob
    from harness.clouds.package import write_package

    package = write_package(what, folder / "phonebench.zip")
    apps = tuple(CloudApp(path=path) for path in what.apks)
    return CloudJob(name="phonebench", apps=apps, package=package, test_spec=test_spec(), phone=phone, minutes=minutes)


def _take(ticket: str, where: Places, *, as_json: bool) -> int:
    from harness.cli.exit_codes import exit_code
    from harness.clouds.cloud import FINAL

    progress = _opened(ticket).poll(ticket)
    if progress.state not in FINAL:
        msg = f"the job has not ended ({progress.words}): wait for it, or stop it with phonebench cloud cancel {ticket}"
        raise CloudError(msg)
    record = _taken(ticket, progress, where)
    if as_json:
        from harness.report.formats.json import show_json

        print_json(show_json(record))
    else:
        print_run(record)
    return exit_code(record)


def _taken(ticket: str, ended: CloudProgress, where: Places) -> RunRecord:
    import tempfile

    from harness.clouds.kinds import cloud_of
    from harness.clouds.take import take_run
    from harness.workflows.cloud_loop import take_loop

    kind = cloud_of(ticket)
    opened = kind.open("", "")
    if kind.alone:
        return take_loop(ticket, ended, opened, where, make_progress())
    with tempfile.TemporaryDirectory() as folder:
        return take_run(opened.fetch(ticket, Path(folder)), where.results, kind.title)


def _say(progress: CloudProgress) -> None:
    click.echo(f"{progress.state.value}: {progress.words}", err=True)
