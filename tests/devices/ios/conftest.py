"""The virtual iPhone with a small app, for tests of the driver."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from harness.devices.ios.environment import make_environment
from harness.devices.ios.hold import IosOptions
from harness.devices.ios.ipa import read_ipa
from harness.devices.ios.phone import Iphone, open_iphone
from tests.viphone.apps import Launch, Program
from tests.viphone.fixtures import MakePhone, device_key, ipas, make_iphone, usbmuxd
from tests.viphone.ipamaker import IpaMaker, IpaPlan
from tests.viphone.iphone import VirtualIPhone
from tests.viphone.state import IPhoneState, own_udid
from tests.viphone.usbmuxd import Usbmuxd

__all__ = ["device_key", "ipas", "make_iphone", "usbmuxd"]

SMALL_APP = Path(__file__).with_name("small_app.py")
UDID = own_udid(16, "00008030")
OPTIONS = IosOptions(back_s=10.0, trust_s=0.0)

Open = Callable[[], Iphone]
Session = Callable[..., AbstractContextManager[Iphone]]


def app(behaviour: str) -> Program:
    """An app that behaves in this way; see ``small_app.py``."""

    def program(launch: Launch) -> list[str]:
        documents = ["--documents", str(launch.documents)]
        return [sys.executable, "-S", str(SMALL_APP), behaviour, *documents, *launch.arguments]

    return program


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter of the driver's environment."""
    return make_environment()


@pytest.fixture
def phone(make_iphone: MakePhone, usbmuxd: Usbmuxd, monkeypatch: pytest.MonkeyPatch) -> VirtualIPhone:
    """An iPhone with iOS 16, where process control needs no tunnel."""
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", usbmuxd.address)
    made = make_iphone(IPhoneState(ios="16.7", udid=UDID, product_type="iPhone12,1", capacity_bytes=1 << 30))
    made.apps.program = app("ok")
    return made


@pytest.fixture
def make_ipa(ipas: IpaMaker) -> Callable[..., Path]:
    """Makes an IPA that is signed for the iPhone."""
    return lambda **plan: ipas.make(IpaPlan(**{"devices": (UDID,), "digest": "abc", **plan}))


@pytest.fixture
def session(phone: VirtualIPhone, python: Path) -> Session:
    """Opens the iPhone for a session, with an IPA or with the app that is installed."""

    def open_(ipa: Path | None = None) -> AbstractContextManager[Iphone]:
        options = replace(OPTIONS, ipa=read_ipa(ipa) if ipa else None)
        return open_iphone(phone.state.udid, python, key="ios", options=options)

    return open_


@pytest.fixture
def opened(session: Session, make_ipa: Callable[..., Path]) -> Generator[Open]:
    """Opens the iPhone with the app for the rest of the test."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(session(make_ipa()))
