"""The keys of signatures: EC keys in PEM files, and certificates that limit how long a key counts.

A private key is a PKCS #8 or SEC 1 PEM file that only its owner can read. What others trust is the public key, or an
X.509 certificate of it. A bare public key never expires; a certificate has a last day. Curves: NIST P-256, P-384 and
P-521, those of the OpenSSF model-signing format.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import MissingPackageError, SignatureError
from harness.system.files import storage_errors
from harness.system.small_files import read_small

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
CURVES_TEXT = "P-256, P-384 or P-521"
PASSWORD_VARIABLE = "PHONEBENCH_KEY_PASSWORD"
# A key, even a chain of certificates, has a few kilobytes.
MOST_BYTES = 1 << 20
# OpenSSL's limit.
MOST_PASSWORD_BYTES = 1023
PRIVATE_SUFFIX, PUBLIC_SUFFIX, CERTIFICATE_SUFFIX = ".key", ".pub", ".crt"
_MAKE = "phonebench keys NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """The files of a new key; ``expires_at`` is the end of its certificate."""

    private: Path
    public: Path
    certificate: Path
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """The public key to check signatures with: its PEM text, and when it expires if a certificate says so."""

    path: Path
    pem: bytes
    expires_at: datetime | None = None


def create_key(stem: Path, *, days: int, password: str = "") -> KeyFiles:
    """Make a P-256 key: ``STEM.key`` (mode 0600), ``STEM.pub`` and the certificate ``STEM.crt``, valid for ``days``.

    Raises `SignatureError` if one of the files exists, because a lost private key cannot be made again, and
    `StoreError` if it cannot be written.
    """
    require_signing()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    _check_stem(stem)
    protection = serialization.BestAvailableEncryption(_encoded(password)) if password else serialization.NoEncryption()
    files = [stem.with_name(stem.name + suffix) for suffix in (PRIVATE_SUFFIX, PUBLIC_SUFFIX, CERTIFICATE_SUFFIX)]
    taken = next((file for file in files if os.path.lexists(file)), None)
    if taken is not None:
        msg = f"{str(taken)!r} exists, and a key that is lost cannot be made again: choose another name"
        raise SignatureError(msg)
    key = ec.generate_private_key(ec.SECP256R1())
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    contents = (
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection),
        _public_pem(key.public_key()),
        _certificate(key, stem.name, expires_at),
    )
    private, public, certificate = files
    with storage_errors(stem.parent):
        stem.parent.mkdir(parents=True, exist_ok=True)
        _write_new(dict(zip(files, contents, strict=True)))
    return KeyFiles(private=private, public=public, certificate=certificate, expires_at=expires_at)


def _write_new(contents: Mapping[Path, bytes]) -> None:
    """Write files that do not exist, the first of them for its owner alone; all or none. Raises `OSError`."""
    made: list[Path] = []
    try:
        for path, data in contents.items():
            # Never readable by others, not even for the moment between writing it and changing its mode.
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if made else 0o600)
            made.append(path)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise


def check_private_key(path: Path, password: str = "") -> bytes:
    """Return the public key of a private key, as PEM text. Raises `SignatureError` if it cannot be used to sign."""
    require_signing()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    data = _read(path)
    if b"PRIVATE KEY-----" not in data:
        what = "a public key" if b"PUBLIC KEY-----" in data else "no private key"
        msg = f"{str(path)!r} is {what}; signing needs the private one, a PEM file (to make a key: {_MAKE})"
        raise SignatureError(msg)
    _check_mode(path)
    try:
        key = serialization.load_pem_private_key(data, _encoded(password) or None)
    except TypeError as error:
        raise SignatureError(_about_password(path, given=bool(password))) from error
    except Exception as error:
        # Wrong passwords and damaged files raise ValueError or a type of the library's own, by its version.
        advice = f"check {PASSWORD_VARIABLE}" if password else "make a new one, or copy it again"
        msg = f"the private key {str(path)!r} cannot be read ({_first_line(error)}); {advice}"
        raise SignatureError(msg) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SignatureError(_other_kind(path, key))
    _check_curve(path, key.curve.name)
    return _public_pem(key.public_key())


def read_trusted_key(path: Path, *, now: datetime | None = None) -> TrustedKey:
    """Read a public key or a certificate. Raises `SignatureError` if it cannot be used or has expired."""
    require_signing()
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    data = _read(path)
    if b"PRIVATE KEY-----" in data:
        msg = (
            f"{str(path)!r} is a private key, which belongs only where files are signed: "
            f"name its public key ({PUBLIC_SUFFIX}) or its certificate ({CERTIFICATE_SUFFIX})"
        )
        raise SignatureError(msg)
    try:
        if b"-----BEGIN CERTIFICATE-----" in data:
            certificate = x509.load_pem_x509_certificate(data)
            expires_at = certificate.not_valid_after_utc
            _check_days(path, certificate.not_valid_before_utc, expires_at, now or datetime.now(UTC))
            return TrustedKey(path=path, pem=_usable(path, certificate.public_key()), expires_at=expires_at)
        return TrustedKey(path=path, pem=_usable(path, serialization.load_pem_public_key(data)))
    except SignatureError:
        raise
    except Exception as error:
        msg = f"{str(path)!r} is no public key ({_first_line(error)}): give the PEM file of a public key or certificate"
        raise SignatureError(msg) from error


def key_password() -> str:
    """Return the password of an encrypted private key, from the environment; empty if there is none."""
    return os.environ.get(PASSWORD_VARIABLE, "")


def require_signing() -> None:
    """Raise `MissingPackageError` unless the packages that sign and verify are installed."""
    from importlib.util import find_spec

    for module, package in (("cryptography", "cryptography"), ("model_signing", "model-signing")):
        if find_spec(module) is None:
            raise MissingPackageError(package=package, extra="sign", purpose="signing")


def _read(path: Path) -> bytes:
    try:
        return read_small(path, MOST_BYTES)
    except OSError as error:
        msg = f"the key {str(path)!r} cannot be read ({error.strerror}); check the path (to make a key: {_MAKE})"
        raise SignatureError(msg) from error


def _check_stem(stem: Path) -> None:
    """Raise `SignatureError` unless files can be called so, and a certificate too."""
    try:
        named = bool(stem.name.encode())
    except UnicodeEncodeError:
        named = False
    if not named or stem.name == "..":
        msg = f"{str(stem)!r} is no name for the files of a key; give one, such as release"
        raise SignatureError(msg)


def _encoded(password: str) -> bytes:
    """Return a password as bytes. Raises `SignatureError` for one that no key can have."""
    try:
        encoded = password.encode()
    except UnicodeEncodeError as error:
        msg = f"{PASSWORD_VARIABLE} is not UTF-8 text: choose another password"
        raise SignatureError(msg) from error
    if len(encoded) > MOST_PASSWORD_BYTES:
        msg = f"{PASSWORD_VARIABLE} has {len(encoded)} bytes; a password has at most {MOST_PASSWORD_BYTES}"
        raise SignatureError(msg)
    return encoded


def _check_mode(path: Path) -> None:
    if os.name != "posix":
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        msg = f"the private key {str(path)!r} can be read by other users (mode {mode:04o}); first: chmod 600 {path}"
        raise SignatureError(msg)


def _check_days(path: Path, begins: datetime, ends: datetime, now: datetime) -> None:
    if now > ends:
        msg = (
            f"the certificate {str(path)!r} expired on {ends:%Y-%m-%d}: sign the files again with a new key "
            f"({_MAKE}), and trust that one"
        )
        raise SignatureError(msg)
    if now < begins:
        msg = f"the certificate {str(path)!r} is valid only from {begins:%Y-%m-%d %H:%M} UTC: check the clock"
        raise SignatureError(msg)


def _usable(path: Path, key: object) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec

    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise SignatureError(_other_kind(path, key))
    _check_curve(path, key.curve.name)
    return _public_pem(key)


def _check_curve(path: Path, curve: str) -> None:
    if curve not in CURVES:
        msg = f"the key {str(path)!r} is on the curve {curve}; signatures need {CURVES_TEXT} (to make one: {_MAKE})"
        raise SignatureError(msg)


def _other_kind(path: Path, key: object) -> str:
    kind = type(key).__name__.removeprefix("_").removesuffix("PublicKey").removesuffix("PrivateKey")
    return f"the key {str(path)!r} is of the kind {kind}; signatures need EC keys on {CURVES_TEXT} (to make: {_MAKE})"


def _about_password(path: Path, *, given: bool) -> str:
    if given:
        return f"the private key {str(path)!r} is not encrypted: unset {PASSWORD_VARIABLE}"
    return f"the private key {str(path)!r} is encrypted: set {PASSWORD_VARIABLE} to its password"


def _public_pem(key: EllipticCurvePublicKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _certificate(key: EllipticCurvePrivateKey, name: str, expires_at: datetime) -> bytes:
    """A certificate that the key has signed itself: it says until when the key counts, and nothing about its owner."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks differ: a certificate made a moment ago must count on a computer that is a few minutes behind.
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(expires_at)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__
