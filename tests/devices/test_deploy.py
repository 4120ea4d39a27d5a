"""Deployment checks a file before it is pushed to a device."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from harness.artifacts.manifest import Artifact, Companion
from harness.devices.fake.fake import FakePhone
from harness.devices.registry import open_device
from harness.errors import DeviceError, StoreError
from harness.measure.deploy import Deployment, deploy, deploy_artifact
from harness.wire import CompanionRef
from tests.artifacts.builders import make_manifest


def test_an_artifact_is_sent_once(parcel: Any) -> None:
    phone = FakePhone()
    first, second = (deploy(phone, parcel.path, parcel.sha256) for _ in range(2))
    assert first == Deployment(device="fake", sha256=parcel.sha256, bytes=204_800, sent=True)
    assert not second.sent


def test_a_changed_artifact_is_not_sent(parcel: Any) -> None:
    parcel.path.write_bytes(b"changed")
    phone = FakePhone("fake:full")
    with pytest.raises(StoreError, match="has changed"):
        deploy(phone, parcel.path, parcel.sha256)


def test_a_missing_artifact_is_named(parcel: Any) -> None:
    parcel.path.unlink()
    with pytest.raises(StoreError, match="net.tflite"):
        deploy(FakePhone(), parcel.path, parcel.sha256)


def two_files(parcel: Any) -> Artifact:
    """The parcel with a second file."""
    data = b"weights" * 100
    parcel.path.with_name("net.data").write_bytes(data)
    companion = Companion(file="net.data", sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    return Artifact(manifest=make_manifest(sha256=parcel.sha256, companions=(companion,)), path=parcel.path)


def test_the_companions_of_an_artifact_are_sent_too(parcel: Any) -> None:
    phone, artifact = FakePhone(), two_files(parcel)
    assert [d.bytes for d in deploy_artifact(phone, artifact)] == [204_800, 700]
    assert not any(d.sent for d in deploy_artifact(phone, artifact))


def test_a_changed_companion_is_not_sent(parcel: Any) -> None:
    artifact = two_files(parcel)
    parcel.path.with_name("net.data").write_bytes(b"changed")
    with pytest.raises(StoreError, match=r"net\.data.*has changed"):
        deploy_artifact(FakePhone(), artifact)


@pytest.mark.parametrize("key", ["fake", "host"])
def test_a_launch_without_the_companion_is_refused(parcel: Any, key: str) -> None:
    missing = CompanionRef(file="net.data", sha256="ab" * 32)
    request = replace(parcel.request, artifact=replace(parcel.request.artifact, companions=(missing,)))
    with open_device(key) as device:
        device.push(parcel.path, parcel.sha256)
        with pytest.raises(DeviceError, match="abab.*push it before the launch"):
            device.execute(request, parcel.inputs, 30)
