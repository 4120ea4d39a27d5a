"""Parsing the output of a phone's commands; the texts are AOSP's, reduced to the relevant lines."""

from __future__ import annotations

import pytest

from harness.devices.android.texts import (
    Battery,
    Package,
    Power,
    Window,
    parse_battery,
    parse_free_bytes,
    parse_memory_bytes,
    parse_numbers,
    parse_package,
    parse_power,
    parse_properties,
    parse_thermal,
    parse_window,
    sections,
)
from tests.devices.android.phone_texts import BATTERY, FOCUS, THERMAL

PACKAGE = """Packages:
  Package [org.phonebench.runner.onnxruntime] (d94abc):
    userId=10234
    pkg=Package{1f org.phonebench.runner.onnxruntime}
    versionCode=1 minSdk=26 targetSdk=34
    versionName=0.1.0+0123456789ab
    flags=[ DEBUGGABLE HAS_CODE ALLOW_CLEAR_USER_DATA ]
"""


def test_sections_come_apart() -> None:
    assert sections("noise\n@@one\n1\n2\n@@two\n@@three\n3\n") == {"one": "1\n2", "two": "", "three": "3"}


def test_properties_may_have_several_lines_and_brackets() -> None:
    text = "[ro.a]: [b]\n[ro.lines]: [one\ntwo]\n[ro.empty]: []\n[ro.odd]: [x [y] z]\r\n"
    assert parse_properties(text) == {"ro.a": "b", "ro.lines": "one\ntwo", "ro.empty": "", "ro.odd": "x [y] z"}


def test_the_battery_is_read_in_percent_and_degrees() -> None:
    assert parse_battery(BATTERY) == Battery(percent=82.0, temperature_c=29.7, powered=True, volts=4.196)


@pytest.mark.parametrize("text", ["", "Can't find service: battery", "level: many"])
def test_a_battery_that_does_not_tell_is_unknown(text: str) -> None:
    assert parse_battery(text) == Battery()


def test_a_phone_without_a_charger_is_not_powered() -> None:
    assert parse_battery(BATTERY.replace("USB powered: true", "USB powered: false")).powered is False


def test_temperatures_are_those_of_now_and_sensors_that_are_not_fitted_fall_away() -> None:
    found = parse_thermal(THERMAL)
    assert (found.status, found.overridden) == ("moderate", False)
    assert found.temperatures_c == {"VIRTUAL-SKIN": 31.6, "cpu 0": 44.123}


def test_a_phone_without_the_thermal_service_tells_nothing() -> None:
    found = parse_thermal("Can't find service: thermalservice\n")
    assert (found.status, found.temperatures_c) == (None, {})


def test_an_overridden_status_is_reported() -> None:
    assert parse_thermal(THERMAL.replace("Override: false", "Override: true")).overridden


@pytest.mark.parametrize(
    ("text", "window"),
    [
        (FOCUS, Window(foreground="com.android.launcher3")),
        ("  mCurrentFocus=null\n", Window()),
        ("  mCurrentFocus=Window{1a u0 NotificationShade}\n", Window(foreground="NotificationShade")),
        ("  mCurrentFocus=Window{1a u0 Some dialog EXITING}\n", Window(foreground="Some dialog")),
        ("  mCurrentFocus=Window{1a u0 phonebench app}\n", Window()),
        ("  mCurrentFocus=Window{1a u10 PageSizeMismatchDialog}\n", Window()),
        ("  mCurrentFocus=Window{1a u0 DeprecatedTargetSdkVersionDialog}\n", Window()),
        ("  mCurrentFocus=Window{1a u0 UnsupportedDisplaySizeDialog}\n", Window()),
        ("  mCurrentFocus=Window{1a u0 Application Not Responding: org.phonebench.runner.tflite}\n", Window()),
        (
            "  mCurrentFocus=Window{1a u0 Application Error: com.example.game}\n",
            Window(foreground="Application Error: com.example.game"),
        ),
        (FOCUS + "  mDreamingLockscreen=true mTopFull", Window(foreground="com.android.launcher3", locked=True)),
        ("KeyguardServiceDelegate\n      showing=false\n", Window(locked=False)),
        ("KeyguardServiceDelegate\n      showing=true\n", Window(locked=True)),
        ("  isKeyguardShowing=true", Window(locked=True)),
    ],
)
def test_the_front_and_the_lock_are_read_in_their_several_forms(text: str, window: Window) -> None:
    assert parse_window(text) == window


@pytest.mark.parametrize(
    ("text", "power"),
    [
        ("  mWakefulness=Awake\nlow_power=0\n", Power(screen="on", saving=False)),
        ("  mWakefulness=Dozing\nlow_power=1\n", Power(screen="off", saving=True)),
        ("  mWakefulness=Asleep\nlow_power=null\n  mLowPowerModeEnabled=true\n", Power(screen="off", saving=True)),
        ("", Power()),
    ],
)
def test_screen_and_power_saving(text: str, power: Power) -> None:
    assert parse_power(text) == power


def test_an_installed_app_has_a_version_and_flags() -> None:
    app = "org.phonebench.runner.onnxruntime"
    assert parse_package(PACKAGE, app) == Package(version="0.1.0+0123456789ab", debuggable=True)
    assert parse_package(PACKAGE, "org.phonebench.runner.onnx") is None


@pytest.mark.parametrize(
    ("text", "free"),
    [
        (
            "Filesystem     1K-blocks     Used Available Use% Mounted on\n"
            "/dev/block/dm-5 115249236 34321020 80797144  30% /data",
            80797144 * 1024,
        ),
        (
            "Filesystem 1K-blocks Used Available Use% Mounted on\n/dev/a-long-name\n 100 40 60 40% /data\n",
            60 * 1024,
        ),
        ("df: /data/local/tmp/phonebench: No such file or directory\n", None),
        ("", None),
    ],
)
def test_free_space(text: str, free: int | None) -> None:
    assert parse_free_bytes(text) == free


def test_memory_and_numbers() -> None:
    assert parse_memory_bytes("MemTotal:  8 kB\nMemAvailable:        4 kB\n", "MemAvailable") == 4096
    assert parse_memory_bytes("", "MemTotal") is None
    assert parse_numbers("1800000\nx\n2400000\n") == (1800000, 2400000)
