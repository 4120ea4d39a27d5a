"""Pairing: the phone's key, the computers that it trusts, and TLS with their certificates."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import subprocess
import threading
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.viphone.der import Certificate, RsaKey

KEY_BITS = 2048
OPENSSL_S = 60


class Dialog(StrEnum):
    """What the user does about "Trust this computer?"."""

    TRUST = "trust"
    PENDING = "pending"
    DENY = "deny"


class Refusal(StrEnum):
    """Why a phone does not pair, in lockdownd's words."""

    PENDING = "PairingDialogResponsePending"
    DENIED = "UserDeniedPairing"
    LOCKED = "PasswordProtected"
    BAD_RECORD = "InvalidPairRecord"


class PairingError(Exception):
    """The phone refuses."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKey:
    """The phone's own key; ``private`` is a PEM file."""

    private: Path
    public_pem: bytes

    @classmethod
    def make(cls, folder: Path) -> DeviceKey:
        """Make a key with the openssl command line, in that folder."""
        private, public = folder / "device.key", folder / "device.pub"
        _openssl("genrsa", "-out", str(private), str(KEY_BITS))
        _openssl("rsa", "-in", str(private), "-RSAPublicKey_out", "-out", str(public))
        return cls(private=private, public_pem=public.read_bytes())


def missing_for_trust() -> str:
    """The tool that is missing here; empty if none is."""
    return "" if shutil.which("openssl") else "openssl"


class Trust:
    """The computers that one phone trusts, by their HostID."""

    def __init__(self, key: DeviceKey, folder: Path) -> None:
        self.key, self._folder = key, folder
        self.dialog = Dialog.TRUST
        self._lock = threading.Lock()
        self._hosts: dict[str, dict[str, Any]] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}

    @property
    def hosts(self) -> tuple[str, ...]:
        """The HostIDs of the computers that are trusted."""
        with self._lock:
            return tuple(self._hosts)

    def pair(self, record: dict[str, Any]) -> bytes:
        """Ask the user, check the certificates and return the escrow bag; raises `PairingError`."""
        self._check(record)
        match self.dialog:
            case Dialog.PENDING:
                raise PairingError(Refusal.PENDING)
            case Dialog.DENY:
                raise PairingError(Refusal.DENIED)
            case Dialog.TRUST:
                with self._lock:
                    self._hosts[record["HostID"]] = record
                    self._contexts.pop(record["HostID"], None)
        return hashlib.sha256(record["HostID"].encode()).digest()

    def forget(self, host_id: str | None = None) -> None:
        """Forget one computer or all, as "Reset Location & Privacy" does."""
        with self._lock:
            for one in [host_id] if host_id else list(self._hosts):
                self._hosts.pop(one, None)
                self._contexts.pop(one, None)

    def knows(self, host_id: str) -> bool:
        """Whether that computer is trusted."""
        with self._lock:
            return host_id in self._hosts

    def context(self, host_id: str) -> ssl.SSLContext:
        """TLS with that computer: its device certificate for us, and only its own certificates for it."""
        with self._lock:
            if host_id not in self._contexts:
                self._contexts[host_id] = self._make_context(host_id)
            return self._contexts[host_id]

    def accepts(self, host_id: str, certificate: bytes) -> bool:
        """Whether a handshake's certificate is that computer's; libimobiledevice sends its root, others the host's."""
        with self._lock:
            record = self._hosts.get(host_id, {})
        own = [record[name] for name in ("HostCertificate", "RootCertificate") if name in record]
        return any(Certificate.decode(one).whole == certificate for one in own)

    def _check(self, record: dict[str, Any]) -> None:
        """Check that the certificates are for this phone's key and signed by the computer's root."""
        try:
            root, device, host = (
                Certificate.decode(record[f"{name}Certificate"]) for name in ("Root", "Device", "Host")
            )
            record["HostID"], record["SystemBUID"]
        except (KeyError, ValueError, IndexError) as error:
            raise PairingError(Refusal.BAD_RECORD) from error
        if device.key != RsaKey.decode(self.key.public_pem):
            raise PairingError(Refusal.BAD_RECORD)
        if not all(one.signed_by(root.key) for one in (root, device, host)):
            raise PairingError(Refusal.BAD_RECORD)

    def _make_context(self, host_id: str) -> ssl.SSLContext:
        record = self._hosts[host_id]
        own = self._folder / f"{host_id}.pem"
        own.write_bytes(record["DeviceCertificate"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # libimobiledevice signs with SHA-1 for old phones.
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(own, self.key.private)
        # The names in these certificates are all empty, so a chain cannot be built: each is trusted by itself.
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        for name in ("HostCertificate", "RootCertificate"):
            context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(Certificate.decode(record[name]).whole))
        context.verify_mode = ssl.CERT_REQUIRED
        return context


def _openssl(*words: str) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=OPENSSL_S, check=False)
    if done.returncode:
        msg = f"openssl {words[0]} failed: {done.stderr[-500:]}"
        raise RuntimeError(msg)
