"""Devices that are asked for by what they are."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.cli.options import Listed
from harness.devices.registry import expand_devices
from harness.devices.wishes import Candidate, choose
from harness.errors import DeviceError, UsageError
from harness.records.device import DeviceInfo
from harness.spec.wish import read_wish


def phone(serial: str, model: str, soc: str, gigabytes: float, load: float = 0.0) -> Candidate:
    info = DeviceInfo(
        key=f"android:{serial}",
        kind="android",
        model=model,
        os=f"Android {16 if 'Pixel' in model else 14}",
        cpu=soc,
        cores=8,
        memory_bytes=int(gigabytes * 2**30),
        abi="arm64-v8a",
        details={"vendor": "google" if "Pixel" in model else "other"},
    )
    return Candidate(info=info, load=load)


# A phone sold with 8 GB reports somewhat less, because the system keeps a part.
RACK = (
    phone("A", "Pixel 9", "Google Tensor G4", 11.4, load=3),
    phone("B", "Pixel 9", "Google Tensor G4", 11.4),
    phone("C", "Galaxy A15", "MediaTek MT6789", 3.6),
    phone("D", "Pixel 7", "Google Tensor G2", 7.5, load=1),
)


def chosen(text: str, rack: Sequence[Candidate] = RACK) -> str:
    """The serials that a wish gets, joined."""
    return "".join(key.removeprefix("android:") for key in choose(read_wish(text), rack))


@pytest.mark.parametrize(
    ("wish", "serials"),
    [
        ("android[soc=Tensor G4, ram>=8]:any", "B"),
        ("android[soc=tensor g4]:all", "BA"),
        ("android[ram>=8]:all", "BDA"),
        ("android[ram<8]:any", "C"),
        ("android[soc=Tensor G4]:2", "BA"),
        ("android[vendor!=google]", "C"),
        ("android[os>15]:all", "BDA"),
        ("android[model = Pixel 7]:any", "D"),
        ("android[cores<=8,abi=arm64]:all", "BCDA"),
        ("android:any", "B"),
        ("android[]:all", "BCDA"),
    ],
)
def test_a_wish_gets_the_devices_that_meet_every_condition_the_idlest_first(wish: str, serials: str) -> None:
    assert chosen(wish) == serials


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ("android[ram>=16]:any", r"no device fits .* there are android:A \(Pixel 9, Google Tensor G4, 11 GiB\)"),
        ("android[memory>=4]:any", "none of them has a fact 'memory'; .*model"),
        ("ios[ram>=4]:any", "no device of kind 'ios' is there now"),
        ("android[ram>=4]:3", "asks for 3 units of one model, and the most are 2 of 'Pixel 9'"),
    ],
)
def test_a_wish_that_nothing_fits_says_what_there_is(wish: str, sentence: str) -> None:
    with pytest.raises(DeviceError, match=sentence):
        chosen(wish)


@pytest.mark.parametrize(
    "wish",
    ["android[ram>=8", "android[ram]:any", "android[ram>=big]:any", "android[soc=]:any", "android[]:0", "[ram>1]:any"],
)
def test_a_wish_that_cannot_be_read_says_how_to_write_it(wish: str) -> None:
    with pytest.raises(UsageError, match=r"write KIND\[|write NAME=VALUE|give a number|at least one"):
        read_wish(wish)


def test_a_comma_in_brackets_does_not_end_a_device_of_the_list() -> None:
    parts = Listed().convert("host, android[soc=Tensor G4, ram>=8]:any,fake", None, None)
    assert parts == ["host", "android[soc=Tensor G4, ram>=8]:any", "fake"]


def test_a_wish_works_without_a_farm() -> None:
    assert expand_devices(("fake[ram>=6]:any", "host")) == ("fake", "host")


def test_the_units_of_a_scripted_phone_are_counted_out() -> None:
    assert expand_devices(("fake:8..10", "fake:low-1..2")) == (
        "fake:8",
        "fake:9",
        "fake:10",
        "fake:low-1",
        "fake:low-2",
    )
