"""Mutual TLS between the hosts of a farm: whom to trust, and what a refusal means in a sentence.

Every connection, of the queue as of the depot, is encrypted and shows a certificate of the farm's authority on both
sides. Whoever connects also checks that the other side's certificate is for the name that it was reached by.
"""

from __future__ import annotations

import os
import ssl
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness.errors import MissingPackageError, UsageError
from harness.farm.certs import CA_FILE, CERT_FILE, KEY_FILE, RENEW_DAYS, read_certificate

if TYPE_CHECKING:
    from distributed import Security

DEPOT_PORT = 8787
SCHEME = "tls"


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmPlace:
    """Where a farm is, and the folder with the certificate, the key and the authority that open it."""

    host: str
    port: int
    certs: Path

    @property
    def url(self) -> str:
        """The address as a user writes it."""
        return farm_url(self.host, self.port)


def farm_url(host: str, port: int) -> str:
    """Return the address of a farm as a user writes it."""
    return f"{SCHEME}://{f'[{host}]' if ':' in host else host}:{port}"


def farm_place(url: str, certs: Path) -> FarmPlace:
    """Return the place that ``tls://HOST[:PORT]`` names.

    Raises `UsageError` for another scheme, since nothing travels unencrypted, and for certificates that do not work.
    """
    parts = urlsplit(url)
    if parts.scheme != SCHEME:
        advice = (
            "a farm is never reached without encryption" if parts.scheme in ("tcp", "http") else "check the address"
        )
        msg = f"the address of a farm is {SCHEME}://HOST:PORT, and {url!r} is not: {advice}"
        raise UsageError(msg)
    try:
        host, port = parts.hostname, parts.port or DEPOT_PORT
    except ValueError as error:
        msg = f"the address {url!r} of the farm has no valid port ({error}): write {SCHEME}://HOST:{DEPOT_PORT}"
        raise UsageError(msg) from error
    if not host:
        msg = f"the address {url!r} of the farm names no host: write {SCHEME}://HOST:{DEPOT_PORT}"
        raise UsageError(msg)
    check_own(certs)
    return FarmPlace(host=host, port=port, certs=certs)


def check_own(certs: Path, now: datetime | None = None) -> str | None:
    """Raise `UsageError` if the certificate in ``certs`` cannot be used.

    Return a warning if it ends soon, else None.
    """
    own = read_certificate(certs)
    for file in (KEY_FILE, CA_FILE):
        if not (certs / file).is_file():
            msg = f"{str(certs)!r} has no {file}: copy the whole folder that 'phonebench farm certs' made"
            raise UsageError(msg)
    _refuse_shared_key(certs / KEY_FILE)
    moment = now or datetime.now(UTC)
    if own.days_left(moment) < 0:
        msg = f"the certificate of {own.name!r} ended on {own.ends:%Y-%m-%d}: {renewal(own.name)}"
        raise UsageError(msg)
    if moment < own.starts:
        msg = (
            f"the certificate of {own.name!r} starts on {own.starts:%Y-%m-%d %H:%M} UTC, and the clock here says "
            f"{moment:%Y-%m-%d %H:%M}: set the clock"
        )
        raise UsageError(msg)
    if own.days_left(moment) < RENEW_DAYS:
        return f"the certificate of {own.name!r} ends on {own.ends:%Y-%m-%d}; {renewal(own.name)}"
    return None


def _refuse_shared_key(key: Path) -> None:
    mode = stat.S_IMODE(key.stat().st_mode)
    # Elsewhere the mode says nothing about who may read a file.
    if os.name == "posix" and mode & 0o077:
        msg = (
            f"the private key {str(key)!r} can be read by other users (mode {mode:04o}): if nobody has read it, "
            f"chmod 600 {key}; otherwise make the certificate again"
        )
        raise UsageError(msg)


def renewal(name: str) -> str:
    """Return the end of a sentence: how the certificate ``name`` is renewed."""
    return f"renew it with 'phonebench farm certs {name}' and copy its folder to the host"


def server_context(certs: Path) -> ssl.SSLContext:
    """Return the TLS settings of whoever listens: only peers with a certificate of our authority are let in."""
    return _context(certs, ssl.Purpose.CLIENT_AUTH)


def client_context(certs: Path) -> ssl.SSLContext:
    """Return the TLS settings of whoever connects; the certificate of the other side must be for its name."""
    context = _context(certs, ssl.Purpose.SERVER_AUTH)
    context.check_hostname = True
    return context


def _context(certs: Path, purpose: ssl.Purpose) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(purpose, cafile=str(certs / CA_FILE))
        context.load_cert_chain(certs / CERT_FILE, certs / KEY_FILE)
    except (OSError, ssl.SSLError) as error:
        msg = f"the certificate in {str(certs)!r} cannot be used ({error}): copy its folder again, or make a new one"
        raise UsageError(msg) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def engine_security(certs: Path, *, dials_names: bool) -> Security:
    """Return the settings of the queue's own connections, which are as strict as the depot's.

    ``dials_names``: check the name of the other side, as agents and clients do, which connect to the scheduler by the
    name that they were given. The scheduler connects back to agents by their addresses.
    """
    try:
        from distributed import Security
    except ImportError as error:
        raise MissingPackageError(package="distributed", extra="farm", purpose="a farm") from error

    class NamedSecurity(Security):
        def get_connection_args(self, role: str) -> dict[str, Any]:
            args: dict[str, Any] = super().get_connection_args(role)  # type: ignore[no-untyped-call]
            args["ssl_context"].check_hostname = dials_names
            return args

    cert, key, authority = (str(certs / name) for name in (CERT_FILE, KEY_FILE, CA_FILE))
    roles = {
        f"tls_{role}_{what}": value
        for role in ("scheduler", "worker", "client")
        for what, value in (("cert", cert), ("key", key))
    }
    # A variable of its own: the class of the library has no types.
    make: Any = NamedSecurity
    security: Security = make(
        require_encryption=True, tls_ca_file=authority, tls_min_version=ssl.TLSVersion.TLSv1_3, **roles
    )
    return security


def explain_refusal(error: ssl.SSLError | OSError, place: FarmPlace) -> str:
    """Return a sentence about a connection that failed, with what to do."""
    text = str(error)
    if isinstance(error, ssl.SSLEOFError | ConnectionResetError | BrokenPipeError):
        # With TLS 1.3 a server that does not like our certificate may close the connection without a reason.
        return (
            f"the farm at {place.url} closed the connection: if this happens again, it does not accept the certificate "
            f"in {str(place.certs)!r}; check that the farm's own authority made it, when it ends, and both clocks"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return _explain_verification(error, place)
    if isinstance(error, ssl.SSLError):
        if "CERTIFICATE_EXPIRED" in text.upper().replace(" ", "_"):
            return f"the farm at {place.url} says that this host's certificate has expired: renew it, or set the clock"
        if "UNKNOWN_CA" in text.upper().replace(" ", "_"):
            return (
                f"the farm at {place.url} does not know the authority of this host's certificate: "
                "use a certificate that its own authority has made"
            )
        if "WRONG_VERSION" in text or "UNEXPECTED_MESSAGE" in text or "RECORD_LAYER" in text:
            return f"what answers at {place.url} does not speak TLS, so it is no farm of ours: check the port"
        return f"the farm at {place.url} refused the connection ({text}): check the certificate in {str(place.certs)!r}"
    return f"the farm at {place.url} cannot be reached ({text}): check that its scheduler runs, and the network"


def _explain_verification(error: ssl.SSLCertVerificationError, place: FarmPlace) -> str:
    reason = error.verify_message
    if "expired" in reason:
        return (
            f"the certificate of the farm at {place.url} has expired: renew it on the scheduler's host "
            "and start the scheduler again"
        )
    if "not yet valid" in reason:
        return f"the certificate of the farm at {place.url} is not valid yet: compare the clocks of both hosts"
    if "mismatch" in reason.lower() or "not valid for" in reason.lower():
        return (
            f"the certificate of the farm at {place.url} is for another name ({reason.rstrip('.')}): "
            "use the name that it is for, or make it for this one with --for"
        )
    return (
        f"the certificate of the farm at {place.url} was not made by our authority ({reason}): "
        f"check the address, and that {str(place.certs / CA_FILE)!r} belongs to this farm"
    )
