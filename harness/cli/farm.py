"""``phonebench farm``: certificates, the scheduler, and the agents of a farm of many hosts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.console import print_json, print_table
from harness.cli.options import json_option, listed, signature_option
from harness.cli.paths import PATH
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.farm.places import Role
    from harness.farm.status import FarmStatus

certs_option = click.option(
    "--certs",
    type=PATH,
    metavar="DIR",
    envvar="PHONEBENCH_FARM_CERTS",
    show_envvar=True,
    help="The folder with this host's certificate.  [default: farm in the user's configuration]",
)
scheduler_option = click.option(
    "--scheduler",
    metavar="URL",
    required=True,
    envvar="PHONEBENCH_FARM",
    show_envvar=True,
    help="The scheduler of the farm, as tls://HOST:PORT.",
)


@click.group(short_help="Share phones on many hosts: scheduler, agents, certificates.")
def farm() -> None:
    """Run one queue for the phones of many hosts.

    One host runs the scheduler, and every host with phones runs an agent. Whoever has a certificate of the farm can
    measure on it: phonebench run --farm tls://HOST:8787
    """


@farm.command(short_help="Make or renew the certificates of a farm, or list them.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@listed("--for", help="The host names and addresses that others reach NAME by.  [default: NAME]")
@click.option(
    "--days", type=click.IntRange(1, 3650), metavar="N", default=180, show_default=True, help="How long it is valid."
)
@click.option(
    "--out", type=PATH, metavar="DIR", default=Path("farm-certs"), show_default=True, help="Where the authority is."
)
@json_option
def certs(names: tuple[str, ...], out: Path, days: int, as_json: bool, **options: Any) -> int:
    """Make the certificate of each host or person NAME, and the authority of the farm if there is none.

    Copy the folder of each NAME to its host, and nothing else. Without NAME: list the certificates, and when they end.
    To renew one, make it again.
    """
    from harness.cli.options import flat
    from harness.farm.certs import list_certificates, make_authority, make_certificate

    if len(names) > 1 and options["for"]:
        msg = f"--for is about one host, and {len(names)} were named: make them one by one"
        raise UsageError(msg)
    if names:
        make_authority(out)
    made = [make_certificate(out, name, flat(options["for"]), days=days) for name in names]
    return _print_certificates(made or list_certificates(out), as_json=as_json)


@farm.command(short_help="Run the scheduler of a farm.")
@certs_option
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="N", default=8787, show_default=True, help="Port of the depot."
)
@click.option(
    "--engine-port",
    type=click.IntRange(0, 65535),
    metavar="N",
    default=8786,
    show_default=True,
    help="Port of the queue.",
)
@click.option("--data", type=PATH, metavar="DIR", help="Where journals and files are kept.  [default: in the cache]")
def scheduler(certs: Path | None, host: str, port: int, engine_port: int, data: Path | None) -> None:
    """Run the queue of a farm and its depot, where files and results change hands.

    It can be stopped and started at any time: what was measured is safe, and what waits is queued again.
    """
    from harness.farm.places import farm_certs, farm_data
    from harness.farm.scheduler import SchedulerOptions, serve_scheduler

    options = SchedulerOptions(
        certs=farm_certs(certs), data=data or farm_data("scheduler"), host=host, port=port, engine_port=engine_port
    )
    serve_scheduler(options, _tell)


@farm.command(short_help="Offer the phones of this host to a farm.")
@scheduler_option
@certs_option
@listed("-d", "--device", help="The devices to offer.  [default: every phone that is connected]")
@listed(
    "--role",
    help="What this host does: measure, build, or both. A build host makes the files of runs, and so runs the code of "
    "models.  [default: measure]",
)
@click.option("--name", metavar="NAME", default="", help="The name of this host in the farm.  [default: its host name]")
@click.option("--data", type=PATH, metavar="DIR", help="Where results wait.  [default: in the cache]")
@signature_option
def agent(scheduler: str, certs: Path | None, name: str, data: Path | None, **options: Any) -> None:
    """Offer the phones of this host to the farm and measure on them, or build files for others.

    A phone that is plugged in joins the farm, and one that is unplugged leaves it. While the scheduler is away, what
    runs goes on and its result waits here. With --require-signature, a cell is refused unless the signature of its
    artifact came with it.
    """
    from harness.cli.options import flat
    from harness.farm.host_agent import AgentOptions, serve_agent
    from harness.farm.places import farm_certs, farm_data
    from harness.farm.tls import farm_place

    place = farm_place(scheduler, farm_certs(certs))
    folder = data or farm_data(f"agent-{name}" if name else "agent")
    key = options["require_signature"]
    served = AgentOptions(
        place=place,
        data=folder,
        name=name,
        devices=tuple(flat(options["device"])),
        roles=_roles(flat(options["role"])),
        trusted=None if key is None else Path(key).expanduser(),
    )
    serve_agent(served, _tell)


def _roles(names: Sequence[str]) -> tuple[Role, ...]:
    """Return the roles of an agent. Raises `UsageError` for an unknown one."""
    from harness.errors import UnknownNameError
    from harness.farm.places import Role

    known = [role.value for role in Role]
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise UnknownNameError(unknown, kind="role", allowed=known)
    return tuple(Role(name) for name in dict.fromkeys(names)) or (Role.MEASURE,)


@farm.command(short_help="Show who runs what, what waits and why, and for how long.")
@scheduler_option
@certs_option
@click.option(
    "--most", type=click.IntRange(min=0), metavar="N", default=20, show_default=True, help="Most waiting cells to list."
)
@json_option
def status(scheduler: str, certs: Path | None, most: int, as_json: bool) -> None:
    """Show the devices of the farm, who runs what, what waits and why, and how long it will take."""
    from harness.farm.link import ask_status
    from harness.farm.places import farm_certs
    from harness.farm.tls import farm_place

    shown = ask_status(farm_place(scheduler, farm_certs(certs)))
    if as_json:
        import msgspec

        print_json({"schema": 1, **msgspec.to_builtins(shown)})
        return
    _print_status(shown, most=most)


def _print_status(status: FarmStatus, *, most: int) -> None:
    from harness.farm import status_words as words

    for line in words.headline(status):
        click.echo(line)
    tables = (
        (words.DEVICE_TITLES, words.device_rows(status)),
        (words.RUN_TITLES, words.run_rows(status)),
        (words.WAITING_TITLES, words.waiting_rows(status, most=most)),
        (words.BUILD_TITLES, words.build_rows(status)),
        (words.HOST_TITLES, words.host_rows(status)),
    )
    for titles, rows in tables:
        if rows:
            click.echo()
            print_table(titles, rows)
    if status.waiting_cells > most:
        click.echo(
            f"{status.waiting_cells - most} more cells wait; --most lists more of them, --json up to a thousand."
        )


def _tell(sentence: str) -> None:
    click.echo(sentence, err=True)


def _print_certificates(certificates: Any, *, as_json: bool) -> int:
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    if as_json:
        keys = ("name", "names", "starts", "ends")
        print_json([{key: getattr(one, key) for key in keys} | {"folder": str(one.folder)} for one in certificates])
        return 0
    rows = [
        (one.name, ", ".join(one.names), f"{one.ends:%Y-%m-%d}", _left(one.days_left(now)), str(one.folder))
        for one in certificates
    ]
    if not rows:
        click.echo("There are no certificates here. To make one: phonebench farm certs NAME")
        return 0
    print_table(("name", "for", "ends", "left", "folder"), rows)
    return 0


def _left(days: float) -> str:
    return "ended" if days < 0 else f"{days:.0f} days"
