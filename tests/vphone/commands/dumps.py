"""``dumpsys``: the long texts in which the system's services describe themselves, in the words of AOSP."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.vphone.apps import Exit
from tests.vphone.calls import Call
from tests.vphone.packages import Package
from tests.vphone.power import boot_s, charge_left_uah
from tests.vphone.system import System

# android.os.Temperature: CPU, GPU, battery, skin; -1 is any other.
SENSOR_TYPES = {"CPU": 0, "GPU": 1, "battery": 2, "skin": 3}
CHARGING, DISCHARGING, NOT_CHARGING, FULL = 2, 3, 4, 5
THERMAL_SINCE_API, EXIT_INFO_SINCE_API, SINGLE_LINES_SINCE_API = 29, 30, 31


def dumpsys(system: System, call: Call) -> int:
    """Print the dump of a service."""
    name, *args = call.args or [""]
    dump = DUMPS.get(name)
    if dump is None or (name == "thermalservice" and system.state.api < THERMAL_SINCE_API):
        call.err(f"Can't find service: {name}\n")
        return 0
    call.out(dump(system, args))
    return 0


def _battery(system: System, args: list[str]) -> str:
    del args
    state = system.state
    full = state.battery_percent == 100
    status = (FULL if full else CHARGING) if state.charging else NOT_CHARGING if state.plugged else DISCHARGING
    forced = "  (UPDATES STOPPED -- use 'reset' to restart)\n" if state.battery_forced else ""
    return f"""Current Battery Service state:
{forced}  AC powered: false
  USB powered: {_word(state.plugged)}
  Wireless powered: false
  Max charging current: {500000 if state.plugged else 0}
  Charge counter: {charge_left_uah(state, boot_s())}
  status: {status}
  health: {3 if state.battery_temperature_c >= 50 else 2}
  present: true
  level: {state.battery_percent}
  scale: 100
  voltage: {state.battery_millivolts}
  temperature: {round(state.battery_temperature_c * 10)}
  technology: Li-ion
"""


def _thermal(system: System, args: list[str]) -> str:
    del args
    state = system.state
    claimed = state.thermal_override
    status = state.thermal_status if claimed is None else claimed
    sensors = "".join(f"\t{_sensor(name, celsius)}\n" for name, celsius in state.temperatures_c.items())
    return f"""IsStatusOverride: {_word(claimed is not None)}
ThermalEventListeners:
\tcallbacks: 2
\tkilled: false
\tbroadcasts count: -1
Thermal Status: {status}
Cached temperatures:
{sensors}HAL Ready: true
HAL connection:
\tThermalHAL 2.0 connected: yes
Current temperatures from HAL:
{sensors}Current cooling devices from HAL:
\tCoolingDevice{{mValue=0, mType=2, mName=thermal-cpufreq-0}}
"""


def _sensor(name: str, celsius: float) -> str:
    kind = next((number for start, number in SENSOR_TYPES.items() if name.startswith(start)), -1)
    return f"Temperature{{mValue={celsius}, mType={kind}, mName={name}, mStatus=0}}"


def _window(system: System, args: list[str]) -> str:
    del args
    state = system.state
    front = "NotificationShade" if state.locked else state.dialog or state.foreground
    return f"""WINDOW MANAGER POLICY STATE (dumpsys window policy)
    mSafeMode=false mSystemReady={_word(state.booted)} mSystemBooted={_word(state.booted)}
    interactiveState={"INTERACTIVE_STATE_AWAKE" if state.screen_on else "INTERACTIVE_STATE_SLEEP"}
    KeyguardServiceDelegate
      showing={_word(state.locked)}
      inputRestricted={_word(state.locked)}
      occluded=false
      secure={_word(state.secure_lock)}
      dreaming=false
    mShowingLockscreen={_word(state.locked)} mDreamingLockscreen={_word(not state.screen_on and state.locked)}
WINDOW MANAGER WINDOWS (dumpsys window windows)
  mCurrentFocus=Window{{4f1c2aa u{state.user} {front}}}
  mFocusedApp=ActivityRecord{{8d3f5b1 u{state.user} {state.foreground} t42}}
"""


def _power(system: System, args: list[str]) -> str:
    del args
    state = system.state
    return f"""POWER MANAGER (dumpsys power)

Power Manager State:
  mWakefulness={"Awake" if state.screen_on else "Asleep"}
  mIsPowered={_word(state.plugged)}
  mPlugType={2 if state.plugged else 0}
  mBatteryLevel={state.battery_percent}
  mStayOn={_word(bool(state.stay_on) and state.plugged)}
  mBootCompleted={_word(state.booted)}
Settings and Configuration:
  mStayOnWhilePluggedInSetting={state.stay_on}
Battery Saver:
  mLowPowerModeEnabled={_word(state.battery_saver)}
Display Power: state={"ON" if state.screen_on else "OFF"}
"""


def _package(system: System, args: list[str]) -> str:
    found = [package for package in system.packages.all() if not args or package.name == args[0]]
    if not found:
        return f"Unable to find package: {args[0]}\n" if args else "Packages:\n"
    return "Packages:\n" + "".join(_one_package(system, package) for package in found)


def _one_package(system: System, package: Package) -> str:
    apk = package.apk
    flags = "DEBUGGABLE HAS_CODE ALLOW_CLEAR_USER_DATA" if apk.debuggable else "HAS_CODE ALLOW_CLEAR_USER_DATA"
    return f"""  Package [{package.name}] (9f2d{package.uid}):
    userId={package.uid}
    codePath={package.path.removesuffix("/base.apk")}
    primaryCpuAbi={package.abi or "null"}
    versionCode={apk.version_code} minSdk={apk.min_api} targetSdk={apk.target_api}
    versionName={apk.version_name}
    flags=[ {flags} ]
    dataDir=/data/user/0/{package.name}
    signatures=PackageSignatures{{{apk.signer[:8]} version:3, signatures:[{apk.signer[:8]}]}}
    firstInstallTime={_moment(system.now_s())}
"""


def _activity(system: System, args: list[str]) -> str:
    if args[:1] == ["exit-info"] and system.state.api >= EXIT_INFO_SINCE_API:
        return _exit_info(system, args[1:])
    focus = f"ActivityRecord{{8d3f5b1 u0 {system.state.foreground} t42}}"
    return f"ACTIVITY MANAGER ACTIVITIES (dumpsys activity activities)\n  topResumedActivity={focus}\n"


def _exit_info(system: System, args: list[str]) -> str:
    names = args[:1] or [package.name for package in system.packages.all()]
    ended = system.apps.all_exits()
    single = system.state.api >= SINGLE_LINES_SINCE_API
    parts = [_exits_of(name, [one for one in ended if one.package.name == name], single) for name in names]
    return "ACTIVITY MANAGER PROCESS EXIT INFO (dumpsys activity exit-info)\n" + "".join(parts)


def _exits_of(name: str, exits: list[Exit], single: bool) -> str:
    """The records of a package: one fact a line at first, several since Android 12."""
    if not exits:
        return ""
    uid = exits[0].package.uid
    text = f"  package: {name}\n    Historical Process Exit for uid={uid}\n"
    for number, one in enumerate(exits):
        who = [f"timestamp={_moment(one.at_s)}.000", f"pid={one.pid}", f"realUid={uid}", f"packageUid={uid}"]
        what = [f"process={one.process}", f"reason={one.reason.value} ({one.reason.name.replace('_', ' ')})"]
        sizes = ["importance=100", "pss=0.00", "rss=0.00", "description=null", "state=empty", "trace=null"]
        facts = [*who, *what, f"status={one.status}", *sizes]
        if single:
            facts = [" ".join(who), " ".join((*what, "subreason=0 (UNKNOWN)", f"status={one.status}")), " ".join(sizes)]
        text += f"        ApplicationExitInfo #{number}:\n" + "".join(f"          {fact}\n" for fact in facts)
    return text


def _moment(at_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at_s))


def _word(flag: bool) -> str:
    return "true" if flag else "false"


DUMPS: dict[str, Callable[[System, list[str]], str]] = {
    "activity": _activity,
    "battery": _battery,
    "package": _package,
    "power": _power,
    "thermalservice": _thermal,
    "window": _window,
}
