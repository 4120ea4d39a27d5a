"""``phonebench dashboard``: the history, the nights and the runs as web pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.farm import certs_option
from harness.cli.options import history_option, history_place, results_option, signature_option
from harness.cli.paths import PATH
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.dashboard.access import Tls
    from harness.farm.status import FarmStatus


@click.command(short_help="Show the history, the nights and the runs as web pages.")
@click.option(
    "--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Where to listen; elsewhere it needs TLS."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), metavar="N", default=8765, show_default=True, help="0 for a free port."
)
@click.option("--tls-cert", type=PATH, metavar="FILE", help="The certificate of this server, PEM.")
@click.option("--tls-key", type=PATH, metavar="FILE", help="The key of --tls-cert, PEM.")
@click.option("--tls-ca", type=PATH, metavar="FILE", help="Ask readers for a certificate of this authority, PEM.")
@click.option("--login", type=PATH, metavar="FILE", help="Ask readers for a login: a file of NAME:PASSWORD lines.")
@click.option(
    "--scheduler",
    metavar="URL",
    envvar="PHONEBENCH_FARM",
    show_envvar=True,
    help="Also show the farm of this scheduler: tls://HOST:PORT.",
)
@certs_option
@click.option("--open", "open_it", is_flag=True, help="Open it in the browser.")
@signature_option
@history_option
@results_option
def dashboard(
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_ca: Path | None,
    login: Path | None,
    scheduler: str | None,
    certs: Path | None,
    open_it: bool,
    require_signature: str | None,
    history: str | None,
    results: Path,
) -> None:
    """Serve the history, the nights, the devices and the runs as web pages, until Ctrl-C. It never changes anything.

    Only this computer can read them. With --host, other computers can, over TLS and with a login.

    With --require-signature, a run that is not signed is listed by its name only. The history and the nights have no
    signatures.
    """
    from harness.dashboard.access import Access, read_logins
    from harness.dashboard.serve import serve
    from harness.dashboard.site import HistorySource, Site

    access = Access(
        host=host,
        port=port,
        tls=_tls(tls_cert, tls_key, tls_ca),
        logins=frozenset() if login is None else read_logins(login),
    )
    farm = _farm(scheduler, certs)
    if require_signature is not None:
        from harness.signing.keys import read_trusted_key

        read_trusted_key(Path(require_signature).expanduser())
    source = HistorySource(history_place(history, results))
    site = Site(results=results, history=source, farm=farm, trusted=require_signature)
    serve(site, access, lambda address: _say(address, open_it=open_it))


def _farm(scheduler: str | None, certs: Path | None) -> Callable[[], FarmStatus] | None:
    """What asks the scheduler; its address and the certificates are checked now."""
    if scheduler is None:
        return None
    from harness.farm.link import ask_status
    from harness.farm.places import farm_certs
    from harness.farm.tls import farm_place

    place = farm_place(scheduler, farm_certs(certs))
    return lambda: ask_status(place)


def _tls(cert: Path | None, key: Path | None, ca: Path | None) -> Tls | None:
    from harness.dashboard.access import Tls

    if cert is None and key is None and ca is None:
        return None
    if cert is None or key is None:
        msg = "TLS needs both --tls-cert and --tls-key"
        raise UsageError(msg)
    return Tls(cert=cert, key=key, ca=ca)


def _say(address: str, *, open_it: bool) -> None:
    click.echo(f"dashboard: {address} (Ctrl-C to stop)")
    if open_it:
        import webbrowser

        webbrowser.open(address)
