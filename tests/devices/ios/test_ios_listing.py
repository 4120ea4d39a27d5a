"""What ``phonebench devices`` and ``doctor`` say about iPhones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.devices.ios.checkup import check_iphone
from harness.devices.ios.kind import IOS
from harness.devices.ios.link import Worker
from tests.conftest import call_phonebench
from tests.devices.ios.conftest import UDID, Session
from tests.viphone.fixtures import MakePhone
from tests.viphone.iphone import VirtualIPhone
from tests.viphone.state import IPhoneState

# Several devices, each with one thing to do: what it is like after it has been paired, and the state that is listed.
TO_DO: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({}, "ready", ""),
    ({"locked": True}, "locked", "unlock it"),
    ({"developer_mode": False}, "developer-mode", "Privacy & Security > Developer Mode"),
    ({"image_mounted": False}, "no-image", "a run then mounts it"),
    ({"ios": "17.2"}, "tunnel", "remote tunneld"),
    ({"ios": "13.7"}, "too-old", "update the iPhone"),
    ({"values": {"DeviceClass": "AppleTV"}}, "no-phone", "connect an iPhone"),
    ({"values": {"DeviceClass": "Watch"}, "ios": "11.0"}, "no-phone", "connect an iPhone"),
    ({"values": {"DeviceClass": "iPad"}}, "ready", ""),
)


def udid(number: int) -> str:
    return f"00008030-0000AA000000{number:04}"


def test_each_iphone_is_listed_with_the_one_thing_to_do(
    phone: VirtualIPhone, make_iphone: MakePhone, python: Path
) -> None:
    worker = Worker(python)
    for number, (change, _, _) in enumerate(TO_DO):
        made = make_iphone(IPhoneState(ios="16.7", udid=udid(number), product_type="iPhone12,1"))
        worker.call("open", serial=udid(number), bundle_id="none", trust_s=0)
        for name, value in change.items():
            setattr(made.state, name, value)
    worker.close()
    listed = {info.key: info for info in IOS.infos()}
    for number, (_, state, words) in enumerate(TO_DO):
        info = listed[f"ios:{udid(number)}"]
        assert info.details["state"] == state
        assert words in info.details["action"]
    ready = listed[f"ios:{udid(0)}"]
    assert (ready.model, ready.os, ready.details["battery_percent"]) == ("iPhone 11", "iOS 16.7", "83")
    assert ready.details["temperature_c"] == "28.5"
    # The fixture's own has never met this computer. Listing it does not make it ask.
    assert listed[f"ios:{UDID}"].details["state"] == "not-trusted"
    assert "tap Trust" in listed[f"ios:{UDID}"].details["action"]
    assert phone.state.udid == UDID


def test_doctor_passes_every_step(session: Session, make_ipa: Callable[..., Path]) -> None:
    with session(make_ipa()):
        pass
    checkup = check_iphone("ios")
    assert [step.name for step in checkup.steps if not step.ok] == [], checkup.steps
    assert (checkup.key, checkup.serial) == (f"ios:{UDID}", UDID)
    found = {step.name: step.detail for step in checkup.steps}
    assert found["runner app"] == "org.phonebench.runner 0.1.0, runs onnx, tflite"
    assert found["battery"] == "charge 83 %, temperature 28.5 °C, charger yes"
    assert "MB/s to the iPhone" in found["files"]


def test_doctor_goes_on_after_a_step_that_failed(phone: VirtualIPhone) -> None:
    phone.state.developer_mode = False
    steps = {step.name: step for step in check_iphone("ios").steps}
    assert [name for name, step in steps.items() if not step.ok][:2] == ["developer mode", "runner app"]
    assert "install one: phonebench runner install ios --ipa FILE" in steps["runner app"].detail
    assert steps["space"].ok


def test_doctor_asks_for_no_app_on_an_iphone_that_is_too_old(phone: VirtualIPhone) -> None:
    phone.state.ios = "14.8"
    steps = {step.name: step for step in check_iphone("ios").steps}
    assert [name for name, step in steps.items() if not step.ok] == ["system"]
    assert "update the iPhone" in steps["system"].detail
    assert "not needed before iOS 16" in steps["developer mode"].detail


def test_the_command_line_shows_the_check_and_what_to_send(phone: VirtualIPhone, tmp_path: Path) -> None:
    phone.unplug()
    called = call_phonebench("doctor", "--device", "ios", cwd=tmp_path)
    assert called.code == 3
    assert "no iPhone is connected; connect an iPhone by cable, and unlock it" in called.out
    assert "send the output of: phonebench doctor --device ios --json" in called.out


@pytest.mark.parametrize("number", [2, 3])
def test_several_iphones_are_named(phone: VirtualIPhone, make_iphone: MakePhone, tmp_path: Path, number: int) -> None:
    for extra in range(1, number):
        make_iphone(IPhoneState(ios="16.7", udid=udid(extra)))
    called = call_phonebench("doctor", "--device", "ios", "--json", cwd=tmp_path)
    shown = json.loads(called.out)
    (failed,) = [step for step in shown["steps"] if not step["ok"]]
    assert failed["detail"].startswith(f"{number} iPhones are connected: ")
    assert phone.state.udid in failed["detail"]
