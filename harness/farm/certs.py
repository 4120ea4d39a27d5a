"""The certificates of a farm: one authority of its own, and one certificate per host or person, signed by it.

Whoever has a certificate of this authority may run code on every host of the farm, because that is what a queue of jobs
is. So its key stays on one computer, and each certificate ends after some months.

    CERTS/ca.pem               the authority; every host needs it
    CERTS/ca-key.pem           its key; only the computer that makes certificates needs it
    CERTS/NAME/cert.pem, key.pem, ca.pem     what the host or person NAME needs, to be copied there
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import MissingPackageError, UsageError
from harness.system.files import storage_errors
from harness.system.small_files import read_small

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CA_FILE, CA_KEY_FILE = "ca.pem", "ca-key.pem"
CERT_FILE, KEY_FILE = "cert.pem", "key.pem"
CA_DAYS, CERT_DAYS = 3650, 180
# A host whose clock is late by less than this accepts a new certificate at once.
EARLY = timedelta(days=1)
# What the standard allows (RFC 5280, ub-common-name).
MOST_NAME = 64
# From this many days before its end on, a certificate is reported as one to renew.
RENEW_DAYS = 30
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate of a farm. Times are in UTC; ``names`` are the host names and addresses that it is for."""

    name: str
    folder: Path
    names: tuple[str, ...]
    starts: datetime
    ends: datetime

    def days_left(self, now: datetime) -> float:
        """Return how many days it is still valid at ``now``; negative once it has ended."""
        return (self.ends - now).total_seconds() / 86400


def make_authority(root: Path, now: datetime | None = None, *, days: int = CA_DAYS) -> Path:
    """Make the authority in ``root``, unless there is one, and return its certificate's path.

    Raises `UsageError` for half an authority: a new one would put every host of its farm out. Raises `StoreError`.
    """
    path = root / CA_FILE
    if path.exists() or (root / CA_KEY_FILE).exists():
        _authority(root)
        return path
    _need_cryptography()
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    start = now or datetime.now(UTC)
    key = _new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "phonebench farm")])
    builder = _builder(name, name, key, start, days).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    builder = builder.add_extension(_usage(signs=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    with storage_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        _write_key(root / CA_KEY_FILE, key)
        path.write_bytes(_pem(_signed(builder, key)))
    return path


def make_certificate(
    root: Path, name: str, names: Sequence[str] = (), now: datetime | None = None, *, days: int = CERT_DAYS
) -> Certificate:
    """Make or renew the certificate ``name`` in ``root``; renewing keeps the names that it is for, and its key is new.

    ``names`` are the host names and addresses under which others reach it; without any, ``name``. Raises `UsageError`
    for a name that no folder can have or an authority that is not here, `StoreError`.
    """
    if not name or Path(name).name != name or name.startswith(".") or len(name) > MOST_NAME:
        msg = (
            f"{name!r} cannot name a certificate: use the name of the host or person, without slashes and of at most "
            f"{MOST_NAME} characters"
        )
        raise UsageError(msg)
    folder = root / name
    if not names and (folder / CERT_FILE).exists():
        names = read_certificate(folder).names
    authority, authority_key = _authority(root)
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    start = now or datetime.now(UTC)
    key = _new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = _builder(subject, authority.subject, key, start, days)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([_name(n) for n in names or (name,)]), critical=False)
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = builder.add_extension(both, critical=False).add_extension(_usage(signs=False), critical=True)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = builder.add_extension(issuer, critical=False)
    with storage_errors(root):
        folder.mkdir(parents=True, exist_ok=True)
        _write_key(folder / KEY_FILE, key)
        (folder / CERT_FILE).write_bytes(_pem(_signed(builder, authority_key)))
        (folder / CA_FILE).write_bytes((root / CA_FILE).read_bytes())
    return read_certificate(folder)


def read_certificate(folder: Path) -> Certificate:
    """Read the certificate in ``folder``. Raises `UsageError` if there is none or it cannot be read."""
    _need_cryptography()
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(read_small(folder / CERT_FILE, _MOST_BYTES))
        # Most of a certificate is parsed only when it is asked for.
        return Certificate(
            name=_common_name(certificate),
            folder=folder,
            names=_names(certificate),
            starts=certificate.not_valid_before_utc,
            ends=certificate.not_valid_after_utc,
        )
    # A damaged one raises errors of many kinds, such as KeyError for an unknown type of string.
    except Exception as error:
        msg = (
            f"there is no usable certificate in {str(folder)!r} ({error}): make one with 'phonebench farm certs NAME' "
            "and copy its folder here"
        )
        raise UsageError(msg) from error


def list_certificates(root: Path) -> tuple[Certificate, ...]:
    """Return the certificates in ``root`` by name."""
    if not root.is_dir():
        return ()
    folders = sorted(path.parent for path in root.glob(f"*/{CERT_FILE}"))
    return tuple(read_certificate(folder) for folder in folders)


def _authority(root: Path) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    _need_cryptography()
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        certificate = x509.load_pem_x509_certificate(read_small(root / CA_FILE, _MOST_BYTES))
        key = load_pem_private_key(read_small(root / CA_KEY_FILE, _MOST_BYTES), None)
    except (OSError, ValueError, TypeError) as error:
        msg = (
            f"the authority in {str(root)!r} cannot be used ({error}): run this where the farm's {CA_KEY_FILE} is, "
            "or make a new authority in an empty folder"
        )
        raise UsageError(msg) from error
    if not isinstance(key, EllipticCurvePrivateKey):
        msg = f"the key of the authority in {str(root)!r} is not an EC key: make a new authority in an empty folder"
        raise UsageError(msg)
    return certificate, key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, start: datetime, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - EARLY)
        .not_valid_after(start + timedelta(days=days))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _signed(builder: x509.CertificateBuilder, key: EllipticCurvePrivateKey) -> x509.Certificate:
    from cryptography.hazmat.primitives import hashes

    return builder.sign(key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _write_key(path: Path, key: EllipticCurvePrivateKey) -> None:
    """Write a key that nobody else can ever read, not even for a moment."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    part.replace(path)


def _name(text: str) -> x509.GeneralName:
    from cryptography import x509

    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(text))
    try:
        return x509.DNSName(text)
    except ValueError as error:
        msg = f"{text!r} cannot be in a certificate: write host names and persons in ASCII, without umlauts or accents"
        raise UsageError(msg) from error


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names)


def _common_name(certificate: x509.Certificate) -> str:
    from cryptography.x509.oid import NameOID

    attributes = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attributes[0].value) if attributes else ""


def _need_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(package="cryptography", extra="farm", purpose="a farm") from error
