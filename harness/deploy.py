"""Deployment: an artifact whose digest is right goes onto a device, once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.manifest import file_sha256
from harness.devices import Device
from harness.errors import StoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """An artifact on a device; ``sent`` is False when it was there already."""

    device: str
    sha256: str
    bytes: int
    sent: bool


def deploy(device: Device, path: Path, sha256: str) -> Deployment:
    """Check the file's digest and push it.

    Raises `StoreError` for a file that is not there or not what it was built as, `DeviceError` from the device.
    """
    try:
        size = path.stat().st_size
        found = file_sha256(path)
    except OSError as error:
        msg = f"cannot read the artifact {str(path)!r}: {error.strerror}; build it again"
        raise StoreError(msg) from error
    if found != sha256:
        msg = f"the artifact {str(path)!r} has sha256 {found}, it was built as {sha256}: it was changed, build it again"
        raise StoreError(msg)
    return Deployment(device=device.info.key, sha256=sha256, bytes=size, sent=device.push(path, sha256))
