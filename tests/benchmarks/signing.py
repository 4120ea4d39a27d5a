"""What signatures and encryption cost beside a bare call of their libraries: ``make benchmark ARGS=signing``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from harness.artifacts.sealed import Seal, create_identity, read_identity
from harness.signing.bundle import sign, verify
from harness.signing.keys import create_key, read_trusted_key

MODEL_MB = 50
TIMES = 7


def signing(folder: Path) -> None:
    """Sign, verify, encrypt and decrypt a file of 50 MB, each several times in turn with the bare call."""
    model = folder / "model.tflite"
    model.write_bytes(os.urandom(MODEL_MB * 1_000_000))
    made = create_key(folder / "key", days=30)
    key = read_trusted_key(made.public)
    signature = sign(model, made.private)
    _pair("sign", lambda: sign(model, made.private), lambda: _bare_sign(model, made.private, folder / "bare.sig"))
    _pair("verify", lambda: verify(model, key), lambda: _bare_verify(model, made.public, signature))
    create_identity(folder / "cache.key")
    seal, identity = Seal(folder / "cache.key", folder / "cache"), read_identity(folder / "cache.key")
    entry, bare = folder / "entry", folder / "bare.age"
    (folder / "made").mkdir()
    model.rename(folder / "made" / "model.tflite")
    plain = folder / "made" / "model.tflite"

    def close() -> None:
        seal.close(plain.parent, entry)

    def opened() -> None:
        seal.forget(entry)
        seal.open(entry)

    import pyrage

    public = [identity.to_public()]
    _pair("encrypt", close, lambda: pyrage.encrypt_file(str(plain), str(bare), public), megabytes=MODEL_MB)
    out = str(folder / "bare")
    _pair("decrypt", opened, lambda: pyrage.decrypt_file(str(bare), out, [identity]), megabytes=MODEL_MB)


def _bare_sign(model: Path, private: Path, signature: Path) -> None:
    from model_signing.signing import Config

    class Offline(Config):
        def use_sigstore_signer(self, **_options: object) -> Offline:
            return self

    config = Offline()  # type: ignore[no-untyped-call]
    config.use_elliptic_key_signer(private_key=private).sign(model, signature)


def _bare_verify(model: Path, public: Path, signature: Path) -> None:
    from model_signing.verifying import Config

    Config().use_elliptic_key_verifier(public_key=public).verify(model, signature)  # type: ignore[no-untyped-call]


def _pair(what: str, ours: Callable[[], object], bare: Callable[[], object], *, megabytes: int = 0) -> None:
    """Print the medians of both and their ratio. They take turns, so that the load of the computer is the same."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for call in (ours, bare):
        # Not counted: imports, and files that are not in the system's cache yet.
        call()
    for _ in range(TIMES):
        for call, times in zip((ours, bare), seconds, strict=True):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
    own, theirs = map(median, seconds)
    rate = f", {megabytes / own:.0f} MB/s" if megabytes else ""
    print(f"{what}: {own:.3f} s{rate}; bare call {theirs:.3f} s; ratio {own / theirs:.2f}")
