"""The gauge of the virtual iPhone's battery, whose power a test knows, through the real driver over Wi-Fi."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.devices.device import Execution
from harness.devices.energy import BLOCK_S, COUNTER, why_no_energy, with_blocks
from harness.devices.ios.ipa import read_ipa
from harness.devices.ios.kind import IOS
from harness.devices.ios.phone import Iphone, open_iphone
from harness.devices.ios.usbmux import choose_phone, expand_key, list_phones
from harness.errors import IosError
from harness.farm.agent import HostRoster
from harness.records.energy_pairs import pair_of_reply
from harness.spec.profiles import PROFILES, ProfileName
from harness.stats.energy_pairs import BlockPair, pair_joules
from harness.wire import EnergyPass, EnergySource
from tests.devices.conftest import Parcel
from tests.devices.ios.conftest import OPTIONS, UDID
from tests.viphone.iphone import VirtualIPhone

BLOCK_NS = 1_200_000_000
# A thousand times what an iPhone draws, so that a gauge in whole mAh shows a second of it.
IDLE_W, LOAD_W = 2000.0, 8000.0


@pytest.fixture
def wireless(phone: VirtualIPhone) -> VirtualIPhone:
    """An iPhone over Wi-Fi whose gauge is renewed ten times a second."""
    phone.state.plugged = phone.state.charging = False
    phone.state.wifi, phone.state.gauge_refresh_s = True, 0.1
    phone.state.watts = lambda at_s: LOAD_W if _began(phone) <= at_s else IDLE_W
    return phone


def _began(phone: VirtualIPhone) -> float:
    """When the calls began, which the app writes down."""
    for installed in phone.apps.installed.values():
        text = installed.data / "Documents" / "load"
        if text.exists() and text.read_text().endswith(" "):
            return float(text.read_text())
    return float("inf")


def measure(
    phone: VirtualIPhone,
    python: Path,
    make_ipa: Callable[..., Path],
    parcel: Parcel,
    change: Callable[[VirtualIPhone], None] = lambda _: None,
) -> tuple[Iphone, Execution]:
    """Make one launch with an idle block; ``change`` happens after the iPhone was opened."""
    options = replace(OPTIONS, ipa=read_ipa(make_ipa()), watch_every_s=0.04)
    with open_iphone(phone.state.udid, python, key="ios", options=options) as device:
        change(phone)
        device.push(parcel.path, parcel.sha256)
        passes = replace(parcel.request.passes, energy=EnergyPass(idle_ns=BLOCK_NS))
        return device, device.execute(replace(parcel.request, passes=passes), parcel.inputs, 60)


def test_the_gauge_gives_the_energy_of_a_call_over_wifi(
    wireless: VirtualIPhone, python: Path, make_ipa: Callable[..., Path], parcel: Parcel
) -> None:
    device, execution = measure(wireless, python, make_ipa, parcel)
    assert device.info.details[COUNTER] == "battery"
    energy = execution.reply.energy
    assert energy is not None
    assert energy.counter is not None
    assert (energy.counter.source, energy.counter.step_uah) == (EnergySource.BATTERY, 1000)
    assert "steps of 1 mAh" in energy.counter.definition
    pair = pair_of_reply(execution.reply)
    assert isinstance(pair, BlockPair), pair
    load = energy.blocks[1]
    truth = (LOAD_W - IDLE_W) * (load.ended_ns - load.began_ns) / 1e9 / load.calls
    assert pair_joules([pair])[0] == pytest.approx(truth, rel=0.1)
    # One launch takes long enough for a gauge that is renewed once a minute.
    profile = with_blocks(PROFILES[ProfileName.ENERGY], device.info)
    assert device.info.details[BLOCK_S] == "240"
    assert (profile.idle_ns, profile.measure_ns, profile.cap_ns) == (240 * 10**9, 240 * 10**9, 320 * 10**9)


def renewed_rarely(phone: VirtualIPhone) -> None:
    phone.state.gauge_refresh_s = 1000.0


def put_on_a_charger(phone: VirtualIPhone) -> None:
    phone.state.plugged = phone.state.charging = True


def fed(phone: VirtualIPhone) -> None:
    phone.state.watts = lambda at_s: -IDLE_W if _began(phone) <= at_s else IDLE_W


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (renewed_rarely, "the counter moved 0 times"),
        (put_on_a_charger, "the battery was charging"),
        (fed, "the counter went backwards"),
    ],
    ids=["renewed-rarely", "charging", "backwards"],
)
def test_a_gauge_that_says_nothing_gives_a_sentence(
    wireless: VirtualIPhone,
    python: Path,
    make_ipa: Callable[..., Path],
    parcel: Parcel,
    change: Callable[[VirtualIPhone], None],
    says: str,
) -> None:
    outcome = pair_of_reply(measure(wireless, python, make_ipa, parcel, change)[1].reply)
    assert isinstance(outcome, str)
    assert says in outcome


def test_an_iphone_on_a_cable_has_no_counter_and_the_reason(
    phone: VirtualIPhone, python: Path, make_ipa: Callable[..., Path]
) -> None:
    options = replace(OPTIONS, ipa=read_ipa(make_ipa()))
    with open_iphone(phone.state.udid, python, key="ios", options=options) as device:
        reason = why_no_energy(device.info)
    assert reason is not None
    assert "on a cable or charger" in reason
    assert "Wi-Fi" in reason


def test_an_iphone_over_wifi_is_used_only_by_name(wireless: VirtualIPhone) -> None:
    assert choose_phone(list_phones(), UDID).udid == wireless.state.udid
    with pytest.raises(IosError, match="no iPhone is connected"):
        choose_phone(list_phones(), "")
    with pytest.raises(IosError):
        expand_key("ios:all")
    # Nor does the agent of a farm offer it, which offers each iPhone on a cable.
    key = f"ios:{wireless.state.udid}"
    assert IOS.present is not None
    assert key not in IOS.present(())
    assert HostRoster(keys=(key,)).present() == (key,)
    wireless.state.wifi = False
    assert key in IOS.present(())
