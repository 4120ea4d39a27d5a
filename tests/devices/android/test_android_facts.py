"""A phone's facts, parsed from the output of one call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.devices.android.facts import check_facts, emulator_condition, page_condition, parse_facts
from harness.errors import PhoneError, PhoneTrouble
from harness.records.conditions import ConditionId
from harness.wire import RunnerInfo

TEXT = """@@properties
[ro.build.fingerprint]: [google/shiba/shiba:15/AP4A/1:user/release-keys]
[ro.build.version.release]: [15]
[ro.build.version.sdk]: [35]
[ro.build.version.security_patch]: [2026-10-05]
[ro.hardware]: [shiba]
[ro.board.platform]: [zuma]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a]
[ro.product.manufacturer]: [Google]
[ro.product.model]: [Pixel 8]
[ro.soc.manufacturer]: [Google]
[ro.soc.model]: [Tensor G3]
[sys.boot_completed]: [1]
@@memory
MemTotal:        7812345 kB
@@cores
0-7,9
@@page
16384
@@boot
0e2f
"""
PHONE = parse_facts("R58", TEXT)


def test_the_facts_are_those_of_the_phone() -> None:
    info = PHONE.info("android:R58")
    assert (info.key, info.kind, info.model, info.os) == ("android:R58", "android", "Google Pixel 8", "Android 15")
    assert (info.cpu, info.cores, info.abi) == ("Google Tensor G3", 9, "arm64-v8a")
    assert info.memory_bytes == 7812345 * 1024
    assert (info.details["page_bytes"], PHONE.boot_id) == ("16384", "0e2f")


def test_a_chip_without_a_makers_name_has_the_platforms() -> None:
    text = TEXT.replace("ro.soc.m", "ro.other.m")
    assert parse_facts("R58", text).soc == "zuma"


def test_a_phone_that_tells_nothing_has_no_facts_and_is_still_starting() -> None:
    empty = parse_facts("R58", "")
    assert (empty.api, empty.cores, empty.abis, empty.soc) == (0, 0, (), "unknown")
    with pytest.raises(PhoneError, match="still starting"):
        check_facts(empty)


def test_an_old_android_is_refused_by_its_number() -> None:
    with pytest.raises(PhoneError, match=r"API 25\).*Android 8 or newer") as caught:
        check_facts(replace(PHONE, api=25, release="7.1"))
    assert caught.value.trouble is PhoneTrouble.TOO_OLD


@pytest.mark.parametrize("line", ["[ro.kernel.qemu]: [1]", "[ro.boot.qemu]: [1]", "[ro.hardware]: [ranchu]"])
def test_an_emulator_is_known_by_its_properties(line: str) -> None:
    text = TEXT.replace("[ro.hardware]: [shiba]", line)
    condition = emulator_condition(parse_facts("R58", text))
    assert condition is not None
    assert condition.id is ConditionId.EMULATOR
    assert emulator_condition(PHONE) is None


@pytest.mark.parametrize(
    ("pages", "fit", "applies"),
    [(16384, 4096, True), (16384, 16384, False), (4096, 4096, False), (None, 4096, False), (16384, None, False)],
)
def test_libraries_for_smaller_pages_than_the_phones_are_a_condition(
    pages: int | None, fit: int | None, applies: bool
) -> None:
    runner = RunnerInfo(kind="android-app", version="1", library_page_bytes=fit)
    condition = page_condition(replace(PHONE, page_bytes=pages), runner)
    sentence = "the phone has 16 KB pages, but a library of the runner app is aligned to 4 KB"
    assert (condition.summary if condition else None) == (sentence if applies else None)
