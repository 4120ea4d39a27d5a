"""Puts an artifact on a device, after checking its digest; a file that is there already is not sent again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.manifest import Artifact
from harness.devices.device import Device
from harness.errors import StoreError
from harness.system.files import file_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A file on a device; ``sent`` is False if it was there already."""

    device: str
    sha256: str
    bytes: int
    sent: bool


def deploy_artifact(device: Device, artifact: Artifact) -> tuple[Deployment, ...]:
    """Check and push the artifact's file and its companions. Raises as `deploy` does."""
    manifest = artifact.manifest
    if artifact.path is None or manifest.sha256 is None:
        msg = f"{manifest.model} {manifest.variant} has no file to put on a device; build it again"
        raise StoreError(msg)
    first = deploy(device, artifact.path, manifest.sha256)
    rest = [deploy(device, artifact.path.with_name(part.file), part.sha256) for part in manifest.companions]
    return first, *rest


def deploy(device: Device, path: Path, sha256: str) -> Deployment:
    """Check the file's digest and push it.

    Raises `StoreError` for a file that is missing or has changed since it was built, `DeviceError` from the device.
    """
    try:
        size = path.stat().st_size
        digest = file_sha256(path)
    except OSError as error:
        msg = f"cannot read the artifact {str(path)!r}: {error.strerror}; build it again"
        raise StoreError(msg) from error
    if digest != sha256:
        msg = f"the artifact {str(path)!r} has changed: got sha256 {digest}, expected {sha256}; build it again"
        raise StoreError(msg)
    return Deployment(device=device.info.key, sha256=sha256, bytes=size, sent=device.push(path, sha256))
