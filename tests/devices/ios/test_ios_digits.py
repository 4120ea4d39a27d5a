"""Real models on the virtual iPhone: the command line, the driver, the tunnel, and the Swift runner as the app."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MISSING, CommandLine
from tests.ios_runner.swift import desktop_command, missing_for_swift
from tests.viphone.fixtures import MakePhone
from tests.viphone.iphone import VirtualIPhone
from tests.viphone.programs import swift_program
from tests.viphone.state import IPhoneState, own_udid
from tests.viphone.usbmuxd import Usbmuxd

UDID = own_udid(17)


@pytest.fixture
def swift_phone(make_iphone: MakePhone, usbmuxd: Usbmuxd, monkeypatch: pytest.MonkeyPatch) -> VirtualIPhone:
    """An iPhone with iOS 17.4, whose developer services are behind a tunnel; its app is the Swift runner."""
    if lacking := missing_for_swift():
        pytest.skip(f"{MISSING}{lacking}")
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", usbmuxd.address)
    phone = make_iphone(IPhoneState(ios="17.4", udid=UDID, capacity_bytes=1 << 30))
    phone.apps.program = swift_program(desktop_command())
    return phone


def test_digits_has_the_accuracy_and_the_fidelity_of_the_host(
    phonebench: CommandLine, swift_phone: VirtualIPhone, make_ipa: Callable[..., Path]
) -> None:
    ipa = str(make_ipa(devices=(UDID,)))
    what = ["--format", "onnx", "--variant", "int8", "--delegate", "cpu"]
    done = phonebench("run", "digits", "--device", "host,ios", "--ipa", ipa, *what, "--json")
    assert done.code == 0, done.err
    cells = done.json()["cells"]
    by_place = {cell["device"]: cell for cell in cells}
    assert len(by_place) == len(cells) == 2
    host, iphone = by_place["host"], by_place[f"ios:{UDID}"]
    assert iphone["accuracy"] == host["accuracy"]
    assert iphone["fidelity"]["sqnr_db"] == pytest.approx(host["fidelity"]["sqnr_db"], abs=0.5)
    assert swift_phone.apps.unclosed_launches == 0
