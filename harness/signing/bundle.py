"""Signs and verifies with the OpenSSF model-signing library: a Sigstore bundle with the SHA-256 of every file.

The library hashes, signs and compares. This module chooses the files, and names the one that is wrong: a bundle whose
signature is right lists what was signed, so the difference can be named. The format is that of
https://github.com/sigstore/model-transparency, version 1.0.
"""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Self, cast

from harness.errors import SignatureError
from harness.signing.coverage import ITSELF, SIGNATURE_SUFFIX, check_coverable, cover, folder_names, signature_of
from harness.signing.keys import TrustedKey, check_private_key, key_password, require_signing
from harness.system.files import storage_errors, write_whole
from harness.system.small_files import read_small

if TYPE_CHECKING:
    from model_signing.hashing import Config as HashingConfig
    from model_signing.manifest import Manifest
    from model_signing.signing import Config as SigningConfig

# A bundle has about 200 bytes per file.
MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a signature that was verified says: the SHA-256 of each file, by its name, and the bundle itself."""

    path: Path
    digests: Mapping[str, str]
    bundle: bytes


def sign(path: Path, private_key: Path) -> Path:
    """Sign the file, model folder or run at ``path`` and return the signature file. Nothing leaves this computer.

    Raises `SignatureError` for a key that cannot sign or a path that cannot be signed, `StoreError` if the signature
    cannot be written.
    """
    bundle, where = bundle_of(path, private_key), signature_of(path)
    with storage_errors(where.parent):
        write_whole(where, bundle)
    return where


def bundle_of(path: Path, private_key: Path) -> bytes:
    """Return the signature of ``path`` without storing it. Raises as `sign` does."""
    password = key_password()
    check_private_key(private_key, password)
    coverage = cover(path)
    config = _offline_config()
    # The library hands the password on to a function that takes bytes, whatever its annotation says.
    config.use_elliptic_key_signer(private_key=private_key, password=cast("str", password.encode() or None))
    config.set_hashing_config(_as_config(_Listing(root=coverage.root, names=coverage.names)))
    with _scratch() as folder:
        written = folder / "signature"
        config.sign(coverage.root, written)
        return written.read_bytes()


def verify(path: Path, key: TrustedKey, *, signature: Path | None = None) -> Verified:
    """Check every covered file of ``path`` against its signature by ``key``, and return what was signed.

    ``signature`` is the signature file if it is not in its usual place. Raises `SignatureError`, which names the file
    that was changed, added or removed.
    """
    require_signing()
    if not path.exists():
        msg = f"there is no file or folder {str(path)!r} to verify; check the path"
        raise SignatureError(msg)
    where = signature or signature_of(path)
    bundle = read_bundle(path, where)
    signed = _signed_digests(bundle, where)
    listing = _listing(path, signed, where)
    reason = _why_refused(listing, bundle, key)
    if reason is None:
        return Verified(path=path, digests=listing.digests, bundle=bundle)
    if not listing.hashed:
        msg = (
            f"the signature {str(where)!r} of {path.name} is not by the key {str(key.path)!r} ({reason}): ask for one "
            "by this key, or trust the other key"
        )
        raise SignatureError(msg)
    raise SignatureError(_difference(path, signed, listing.digests) + "; if that is wanted, sign it again")


def verify_attached(bundle: bytes, digests: Mapping[str, str], key: TrustedKey, *, remedy: str) -> None:
    """Check files against the signature by ``key`` that came with them. ``digests``: the SHA-256 of each, by its name.

    As a runner app does, it looks for the digests alone: a file may have another name here than where it was signed.
    Raises `SignatureError`, which names the file that the signature does not cover and ends with ``remedy``.
    """
    require_signing()
    first = next(iter(digests))
    if not bundle:
        msg = f"{first!r} came without a signature: {remedy}"
        raise SignatureError(msg)
    signed = _signed_digests(bundle, Path(f"{first}{SIGNATURE_SUFFIX}"))
    reason = _why_refused(_Stated(signed=signed), bundle, key)
    if reason is not None:
        msg = f"the signature of {first!r} is not by the key {str(key.path)!r} ({reason}): {remedy}"
        raise SignatureError(msg)
    other = next((name for name, digest in digests.items() if digest not in signed.values()), None)
    if other is not None:
        msg = f"the signature that came with {first!r} is not of the file {other!r} as it is now: {remedy}"
        raise SignatureError(msg)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for the files that the library reads or writes. Raises `StoreError` if there is no space for them."""
    with storage_errors(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _offline_config() -> SigningConfig:
    """The library's configuration for signing, without its default signer, which asks a server when it is made."""
    from model_signing.signing import Config

    class WithKey(Config):
        def use_sigstore_signer(self, **_options: object) -> Self:
            return self

    return WithKey()  # type: ignore[no-untyped-call]


@dataclass(slots=True, kw_only=True)
class _Listing:
    """Hashes listed files for the library, and keeps the digests. It stands in for the library's configuration.

    The library asks for the hashes only after it has verified the signature, so ``hashed`` tells a wrong signature
    from a wrong file.
    """

    root: Path
    names: tuple[str, ...]
    hashed: bool = False
    digests: dict[str, str] = field(default_factory=dict)

    def hash(self, _path: object = None, **_options: object) -> Manifest:
        from model_signing.manifest import FileManifestItem, Manifest, SerializationType

        self.hashed = True
        items = []
        for name in self.names:
            file = self.root if name == ITSELF else self.root / name
            if not file.is_file():
                continue
            check_coverable(file)
            digest = _digest(file)
            self.digests[name] = digest.digest_hex
            items.append(FileManifestItem(path=PurePosixPath(name), digest=digest))
        kind = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
        return Manifest(self.root.name, items, SerializationType.from_args(kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stated:
    """Repeats to the library what was signed, so that it checks the signature alone: the files have other names."""

    signed: Mapping[str, str]
    root: Path = Path()

    def hash(self, _path: object = None, **_options: object) -> Manifest:
        from model_signing._hashing.hashing import Digest
        from model_signing.manifest import FileManifestItem, Manifest, SerializationType

        items = [
            FileManifestItem(path=PurePosixPath(name), digest=Digest("sha256", bytes.fromhex(digest)))
            for name, digest in self.signed.items()
        ]
        kind = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
        return Manifest(self.root.name, items, SerializationType.from_args(kind))


def _digest(file: Path) -> Any:
    """The SHA-256 of one file, as the library's own record. Raises `SignatureError` if it cannot be read."""
    from model_signing.hashing import Config

    try:
        return next(iter(Config().hash(file).resource_descriptors())).digest  # type: ignore[no-untyped-call]
    except OSError as error:
        msg = f"{str(file)!r} cannot be read ({error.strerror or error}); check its rights and its disk"
        raise SignatureError(msg) from error


def _as_config(listing: _Listing | _Stated) -> HashingConfig:
    return cast("HashingConfig", listing)


def _listing(path: Path, signed: Mapping[str, str], where: Path) -> _Listing:
    """Return what is there to compare with what was signed: for a folder all files in it, for a file those named."""
    if path.is_dir():
        return _Listing(root=path, names=folder_names(path))
    if set(signed) == {ITSELF}:
        return _Listing(root=path, names=(ITSELF,))
    for name in signed:
        _check_plain(name, where)
    if path.name not in signed:
        msg = f"the signature {str(where)!r} is of {_some(sorted(signed))}, not of {path.name}"
        raise SignatureError(msg)
    return _Listing(root=path.parent, names=tuple(signed))


def _check_plain(name: str, where: Path) -> None:
    if PurePosixPath(name).name != name or "\\" in name or name in ("", ".", ".."):
        msg = f"the signature {str(where)!r} names {name!r}, which is not a file beside the signed one"
        raise SignatureError(msg)


def _why_refused(listing: _Listing | _Stated, bundle: bytes, key: TrustedKey) -> str | None:
    """Return why the library refuses the signature or the files, or None if it accepts both."""
    import model_signing

    with _scratch() as folder:
        # The library reads files, and it must read what was checked, not what may lie there by now.
        public, copy = folder / "key.pub", folder / "signature"
        public.write_bytes(key.pem)
        copy.write_bytes(bundle)
        config = model_signing.verifying.Config()  # type: ignore[no-untyped-call]
        config.use_elliptic_key_verifier(public_key=public)
        config.set_hashing_config(_as_config(listing))
        try:
            config.verify(listing.root, copy)
        except (SignatureError, OSError):
            raise
        except Exception as error:  # noqa: BLE001  a damaged bundle raises whatever its parser does
            return str(error).partition("\n")[0][:200] or "the signature does not verify"
    return None


def read_bundle(path: Path, where: Path) -> bytes:
    """Return the signature of ``path`` in the file ``where``. Raises `SignatureError` if it cannot be read."""
    try:
        return read_small(where, MOST_BYTES)
    except FileNotFoundError:
        msg = f"{path.name} has no signature ({str(where)!r}); to make one: phonebench sign {path} --key FILE"
        raise SignatureError(msg) from None
    except OSError as error:
        msg = f"the signature {str(where)!r} cannot be read ({error.strerror}); check the path"
        raise SignatureError(msg) from error


def _signed_digests(bundle: bytes, where: Path) -> dict[str, str]:
    """Return the digests that the bundle states, by name. They count only once its signature has been verified."""
    try:
        payload = json.loads(base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"], validate=True))
        resources: Sequence[Mapping[str, str]] = payload["predicate"]["resources"]
        return {str(entry["name"]): str(entry["digest"]) for entry in resources}
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error) as error:
        msg = f"{str(where)!r} is no signature of the model-signing format (a Sigstore bundle): sign the file again"
        raise SignatureError(msg) from error


def _difference(path: Path, signed: Mapping[str, str], there: Mapping[str, str]) -> str:
    """Return a sentence with the files that differ from what was signed."""

    def named(names: Sequence[str]) -> str:
        return _some([path.name if name == ITSELF else name for name in names])

    changed = sorted(name for name in signed if name in there and there[name] != signed[name])
    parts = [f"{named(changed)} changed"] if changed else []
    if added := sorted(set(there) - set(signed)):
        parts.append(f"{named(added)} added")
    if removed := sorted(set(signed) - set(there)):
        parts.append(f"{named(removed)} removed")
    return f"{str(path)!r} is not what was signed: {', '.join(parts) or 'its list of files differs'}"


def _some(names: Sequence[str]) -> str:
    """Up to three names, and how many more there are."""
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(repr(name) for name in names[:3]) + rest
