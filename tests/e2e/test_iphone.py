"""The real command line on virtual iPhones, with the Swift runner as the app: driver, wire, runner and a real model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.devices.ios.environment import make_environment
from tests.conftest import MISSING, CommandLine
from tests.ios_runner.swift import desktop_command, missing_for_swift
from tests.viphone.fixtures import MakePhone, device_key, ipas, make_iphone, usbmuxd
from tests.viphone.ipamaker import IpaMaker, IpaPlan
from tests.viphone.iphone import VirtualIPhone
from tests.viphone.programs import swift_program
from tests.viphone.state import IPhoneState, own_udid
from tests.viphone.usbmuxd import Usbmuxd

__all__ = ["device_key", "ipas", "make_iphone", "usbmuxd"]

# Its own, because a phone is measured by one run at a time, and tests run side by side.
UDID = own_udid(0xE2)
CELLS = ("--format", "onnx,tflite", "--variant", "fp32,int8", "--json")
OnIphone = Callable[..., Any]


@pytest.fixture
def iphone(make_iphone: MakePhone) -> VirtualIPhone:
    if lacking := missing_for_swift():
        pytest.skip(f"{MISSING}{lacking}")
    phone = make_iphone(IPhoneState(udid=UDID))
    phone.apps.program = swift_program(desktop_command())
    return phone


@pytest.fixture
def on_iphone(phonebench: CommandLine, iphone: VirtualIPhone, usbmuxd: Usbmuxd, ipas: IpaMaker) -> OnIphone:
    """The command line with the phone on the cable; what it prints as JSON."""
    make_environment()
    ipa = ipas.make(IpaPlan(devices=(iphone.state.udid,)))
    places = {"USBMUXD_SOCKET_ADDRESS": usbmuxd.address}
    return lambda *words, **more: phonebench(*words, "--ipa", str(ipa), env=places, **more)


def by_file(cells: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(cell["variant"], cell["format"]): cell for cell in cells}


def in_the_clear(phone: VirtualIPhone) -> list[Path]:
    """The files on the iPhone with the types of the network's layers, which every .onnx file has."""
    return [path for path in phone.storage.data.rglob("*") if path.is_file() and b"Conv" in path.read_bytes()]


def test_digits_is_as_accurate_on_an_iphone_as_on_this_computer(
    on_iphone: OnIphone, phonebench: CommandLine, iphone: VirtualIPhone
) -> None:
    # A cable that is pulled on the way changes nothing.
    iphone.faults.drop_after_bytes(150_000)
    done = on_iphone("run", "digits", "--device", "ios", *CELLS)
    assert done.code == 0, done.err
    assert iphone.cable.drop_after_bytes is None
    there, here = by_file(done.json()["cells"]), by_file(phonebench("run", "digits", *CELLS).json()["cells"])
    assert list(there) == list(here)
    for file, cell in there.items():
        assert (cell["status"], cell["device"]) == ("ok", f"ios:{UDID}"), cell["reason"]
        assert cell["accuracy"]["correct"] == here[file]["accuracy"]["correct"], file
        # Float files agree to the last bits of a sum; the decibels of an int8 file are those of its rounding.
        nearness_db = 20 if file[0] == "fp32" else 0.5
        assert cell["fidelity"]["sqnr_db"] == pytest.approx(here[file]["fidelity"]["sqnr_db"], abs=nearness_db), file
        assert cell["latency"]["calls"] >= 50
    assert [running.code for running in iphone.apps.ended] == [0] * 4
    assert iphone.apps.unclosed_launches == 0
    stored = {path.name for path in (iphone.storage.data).glob("*/Documents/phonebench/jobs/*")}
    assert stored == set()
    # Without encryption the files stay, or a test that finds none with it would say nothing.
    assert len(in_the_clear(iphone)) >= 2


def test_an_encrypted_model_has_the_same_answers_and_is_nowhere_in_the_clear(
    on_iphone: OnIphone, iphone: VirtualIPhone, phonebench: CommandLine
) -> None:
    what = ("--format", "onnx", "--variant", "fp32,int8", "--json")
    done = on_iphone("run", "digits", "--device", "ios", "--encrypt", *what)
    assert done.code == 0, done.err
    there, here = by_file(done.json()["cells"]), by_file(phonebench("run", "digits", *what).json()["cells"])
    assert [cell["status"] for cell in there.values()] == ["ok", "ok"]
    for file, cell in there.items():
        assert cell["accuracy"] == here[file]["accuracy"], file
    assert in_the_clear(iphone) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"locked": True}, "unlock it"),
        ({"developer_mode": False}, "Developer Mode"),
    ],
    ids=["locked", "developer mode"],
)
def test_what_has_to_be_done_first_is_one_sentence_with_exit_code_3(
    on_iphone: OnIphone, iphone: VirtualIPhone, change: dict[str, bool], words: str
) -> None:
    for name, value in change.items():
        setattr(iphone.state, name, value)
    done = on_iphone("run", "digits", "--device", "ios", "--format", "onnx", "--variant", "fp32")
    assert done.code == 3
    assert words in done.err
    assert "Traceback" not in done.err
