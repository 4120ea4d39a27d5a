"""A change of the state shows in the phone's commands and files."""

from __future__ import annotations

import pytest

from tests.vphone.phone import VirtualPhone


@pytest.mark.parametrize(
    ("field", "value", "command", "says"),
    [
        ("model", "It's a Phone", "getprop ro.product.model", "It's a Phone"),
        ("abi", "arm64-v8a", "getprop ro.product.cpu.abilist", "arm64-v8a,armeabi-v7a,armeabi"),
        ("api", 29, "getprop ro.build.version.release", "10"),
        ("api", 28, "dumpsys thermalservice", "Can't find service"),
        ("battery_percent", 12, "dumpsys battery", "level: 12"),
        ("battery_temperature_c", 44.5, "dumpsys battery", "temperature: 445"),
        ("plugged", False, "dumpsys battery", "USB powered: false"),
        ("thermal_status", 3, "dumpsys thermalservice", "Thermal Status: 3"),
        ("temperatures_c", {"skin": 51.5}, "dumpsys thermalservice", "mValue=51.5, mType=3, mName=skin"),
        ("temperatures_c", {"skin": 51.5}, "cat /sys/class/thermal/thermal_zone*/temp", "51500"),
        ("screen_on", False, "dumpsys power", "mWakefulness=Asleep"),
        ("locked", True, "dumpsys window", "mShowingLockscreen=true"),
        ("foreground", "a.b/a.b.C", "dumpsys window", "u0 a.b/a.b.C}"),
        ("battery_saver", True, "settings get global low_power", "1"),
        ("governor", "powersave", "cat /sys/devices/system/cpu/cpu5/cpufreq/scaling_governor", "powersave"),
        ("cpu_khz", {7: 614400}, "cat /sys/devices/system/cpu/cpu7/cpufreq/scaling_cur_freq", "614400"),
        ("sys_readable", False, "cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "No such file"),
        ("load_1m", 7.25, "cat /proc/loadavg", "7.25"),
        ("available_bytes", 300 * 2**20, "grep MemAvailable /proc/meminfo", "307200 kB"),
        ("booted", False, "getprop sys.boot_completed; pm path android", "Can't find service"),
    ],
)
def test_the_phone_says_what_the_state_is(
    bare_phone: VirtualPhone, field: str, value: object, command: str, says: str
) -> None:
    assert says not in bare_phone.jail.call(command).text.splitlines()
    setattr(bare_phone.state, field, value)
    assert says in bare_phone.jail.call(command).text


@pytest.mark.parametrize(
    ("command", "field", "value"),
    [
        ("svc power stayon true", "stay_on", 15),
        ("settings put global stay_on_while_plugged_in 3", "stay_on", 3),
        ("settings put global low_power 1", "battery_saver", True),
        ("cmd power set-fixed-performance-mode-enabled true", "fixed_performance", True),
        ("cmd thermalservice override-status 4", "thermal_override", 4),
        ("input keyevent 223", "screen_on", False),
        ("setprop debug.x 1", "properties", {"debug.x": "1"}),
        ("settings put system screen_off_timeout 5", "settings", {"system/screen_off_timeout": "5"}),
    ],
)
def test_a_command_changes_the_state(bare_phone: VirtualPhone, command: str, field: str, value: object) -> None:
    bare_phone.state.settings = {}
    assert getattr(bare_phone.state, field) != value
    assert bare_phone.jail.call(command).code == 0
    assert getattr(bare_phone.state, field) == value


@pytest.mark.parametrize("secure", [True, False])
def test_a_lock_with_a_code_stays(bare_phone: VirtualPhone, secure: bool) -> None:
    bare_phone.state.locked, bare_phone.state.secure_lock = True, secure
    bare_phone.jail.call("input keyevent 224; wm dismiss-keyguard")
    assert bare_phone.state.locked is secure


def test_what_the_shell_may_not_change_it_cannot(bare_phone: VirtualPhone) -> None:
    governor = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    assert bare_phone.jail.call(f"echo performance > {governor}").code == 1
    assert bare_phone.jail.call("setprop ro.product.model other").code == 1


def test_a_setting_that_was_deleted_is_null(bare_phone: VirtualPhone) -> None:
    script = "settings put global a b; settings get global a; settings delete global a; settings get global a"
    assert bare_phone.jail.run(script).splitlines() == ["b", "Deleted 1 rows", "null"]


def test_a_command_writes_into_files_and_pipes_as_any_other(bare_phone: VirtualPhone) -> None:
    script = (
        "cd /data/local/tmp; (echo a; getprop ro.serialno; echo b) > f; getprop ro.serialno >> f; tail -n 9 f | wc -l"
    )
    assert bare_phone.jail.run(f"{script}; cat f").split() == ["4", "a", "vphone-0", "b", "vphone-0"]
