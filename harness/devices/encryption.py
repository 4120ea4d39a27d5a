"""Encrypts the files of artifacts for the runner app of one phone. docs/wire.md specifies the formats.

A file is encrypted in Tink's format of AES-GCM-HKDF streaming AEAD, with a new key each time, so that it can be written
and read in pieces. The key of the file is then wrapped for the public key of the app.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import DeviceError, MissingPackageError
from harness.system.files import storage_errors
from harness.wire import EncryptedFile, Encryption, EncryptionKey, KeyWrap

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from harness.wire import ArtifactRef

KEY_BYTES = 32
# The parameters of Tink's template AES256_GCM_HKDF_1MB.
SEGMENT_BYTES, TAG_BYTES = 1 << 20, 16
SALT_BYTES, PREFIX_BYTES = 32, 7
HEADER_BYTES = 1 + SALT_BYTES + PREFIX_BYTES
# OpenSSL encrypts for no longer key.
_LEAST_RSA_BITS, _MOST_RSA_BITS = 2048, 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """An encrypted copy of a file: the digest of the ciphertext, the key, and the size of the plain file."""

    sha256: str
    # Not shown where a record is printed or logged.
    key: bytes = field(repr=False)
    plain_bytes: int


class EncryptedCopies:
    """What was encrypted in one session with a device. The keys are kept in memory only, and wrapped when needed."""

    def __init__(self) -> None:
        self._copies: dict[str, Copy] = {}

    def copy_of(self, sha256: str) -> Copy | None:
        """Return the copy of the plain file with this digest, None if there is none."""
        return self._copies.get(sha256)

    def encrypt(self, path: Path, sha256: str, target: Path) -> Copy:
        """Write an encrypted copy of ``path``, which has the digest ``sha256``, to ``target``.

        Raises `StoreError` if it cannot be written, and `MissingPackageError`.
        """
        key = os.urandom(KEY_BYTES)
        with storage_errors(target.parent):
            digest = encrypt_file(path, target, key, sha256)
        copy = Copy(sha256=digest, key=key, plain_bytes=path.stat().st_size)
        self._copies[sha256] = copy
        return copy

    def wrapped(self, artifact: ArtifactRef, recipient: EncryptionKey) -> Encryption:
        """Return the encryption of an artifact for the runner with that key.

        Raises `DeviceError` if the key cannot be used, or if a file of the artifact was not encrypted before.
        """
        copies = [self._copies.get(part.sha256) for part in artifact.files]
        if None in copies:
            msg = f"artifact {artifact.sha256!r} was not encrypted for this device: push it before the launch"
            raise DeviceError(msg)
        files = tuple(
            EncryptedFile(sha256=copy.sha256, key=base64.b64encode(wrap_key(copy.key, recipient)).decode())
            for copy in copies
            if copy is not None
        )
        return Encryption(recipient=recipient_of(recipient), files=files)


def require_cryptography() -> None:
    """Raise `MissingPackageError` if the package that encrypts is not installed."""
    from importlib.util import find_spec

    if find_spec("cryptography") is None:
        raise MissingPackageError(package="cryptography", extra="secrets", purpose="--encrypt")


def encrypt_file(source: Path, target: Path, key: bytes, sha256: str, *, segment_bytes: int = SEGMENT_BYTES) -> str:
    """Encrypt ``source``, whose digest is ``sha256``, and return the digest of the encrypted file. Raises `OSError`."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    salt, prefix = os.urandom(SALT_BYTES), os.urandom(PREFIX_BYTES)
    cipher = AESGCM(HKDF(SHA256(), KEY_BYTES, salt, sha256.encode("ascii")).derive(key))
    written = hashlib.sha256()
    with target.open("wb") as file:

        def write(data: bytes) -> None:
            written.update(data)
            file.write(data)

        write(bytes([HEADER_BYTES]) + salt + prefix)
        for number, (segment, last) in enumerate(_segments(source, segment_bytes - TAG_BYTES)):
            write(cipher.encrypt(prefix + number.to_bytes(4, "big") + bytes([last]), segment, None))
    return written.hexdigest()


def _segments(source: Path, most_bytes: int) -> Iterator[tuple[bytes, bool]]:
    """Yield the segments of a plain file, and whether each is the last. The header takes its place in the first."""
    with source.open("rb") as file:
        segment = file.read(most_bytes - HEADER_BYTES)
        while following := file.read(most_bytes):
            yield segment, False
            segment = following
        yield segment, True


def recipient_of(key: EncryptionKey) -> str:
    """Return the digest by which a request names a runner's key. Raises `DeviceError` if the key is not Base64."""
    return hashlib.sha256(_decoded(key)).hexdigest()


def wrap_key(key: bytes, recipient: EncryptionKey) -> bytes:
    """Return the key of a file, wrapped for a runner. Raises `DeviceError` if the runner's key cannot be used."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        public = load_der_public_key(_decoded(recipient))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unusable(str(error)) from error
    match recipient.algorithm:
        case KeyWrap.RSA_OAEP:
            if not isinstance(public, rsa.RSAPublicKey) or not _LEAST_RSA_BITS <= public.key_size <= _MOST_RSA_BITS:
                reason = f"it is not an RSA key of {_LEAST_RSA_BITS} to {_MOST_RSA_BITS} bits"
                raise _unusable(reason)
            return _wrap_rsa(key, public)
        case KeyWrap.ECDH_ES_A256KW:
            if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
                reason = "it is not an EC key on P-256"
                raise _unusable(reason)
            return _wrap_ec(key, public)


def _wrap_rsa(key: bytes, public: RSAPublicKey) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256

    # Android's keystore has no other hash for MGF1 before Android 14. OAEP does not need one that resists collisions.
    padding = OAEP(mgf=MGF1(SHA1()), algorithm=SHA256(), label=None)
    try:
        return public.encrypt(key, padding)
    except ValueError as error:
        # Numbers that do not form a key, such as an even modulus, are detected only here.
        raise _unusable(str(error)) from error


def _wrap_ec(key: bytes, public: EllipticCurvePublicKey) -> bytes:
    """Return ECDH-ES with the Concat KDF and AES key wrap: RFC 7518, section 4.6, after the point of a new key pair."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDH, SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    ephemeral = generate_private_key(SECP256R1())
    algorithm = KeyWrap.ECDH_ES_A256KW.value.encode()
    # AlgorithmID, PartyUInfo, PartyVInfo, each after its length, and the length of the key in bits.
    info = len(algorithm).to_bytes(4, "big") + algorithm + bytes(8) + (8 * KEY_BYTES).to_bytes(4, "big")
    wrapping = ConcatKDFHash(SHA256(), KEY_BYTES, info).derive(ephemeral.exchange(ECDH(), public))
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return point + aes_key_wrap(wrapping, key)


def _decoded(key: EncryptionKey) -> bytes:
    try:
        return base64.b64decode(key.public_key, validate=True)
    except ValueError as error:
        raise _unusable(str(error)) from error


def _unusable(reason: str) -> DeviceError:
    return DeviceError(f"the public key of the runner app cannot be used ({reason}): build and install the app again")
