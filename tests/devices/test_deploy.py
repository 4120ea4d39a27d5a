"""Deployment checks the file before the device sees it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.deploy import Deployment, deploy
from harness.devices.fake import FakePhone
from harness.errors import StoreError


def test_an_artifact_is_sent_once(parcel: Any) -> None:
    phone = FakePhone()
    first, second = (deploy(phone, parcel.path, parcel.sha256) for _ in range(2))
    assert first == Deployment(device="fake", sha256=parcel.sha256, bytes=204_800, sent=True)
    assert not second.sent


def test_a_changed_artifact_is_not_sent(parcel: Any) -> None:
    parcel.path.write_bytes(b"changed")
    phone = FakePhone("fake:full")
    with pytest.raises(StoreError, match="was changed"):
        deploy(phone, parcel.path, parcel.sha256)


def test_a_missing_artifact_is_named(parcel: Any) -> None:
    parcel.path.unlink()
    with pytest.raises(StoreError, match="net.tflite"):
        deploy(FakePhone(), parcel.path, parcel.sha256)
