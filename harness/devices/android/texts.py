"""Parsers for what a phone's own commands print. Pure: text in, plain values out; None or empty if not reported.

They follow the output of AOSP 8 to 16: ``getprop``, ``dumpsys battery``, ``thermalservice``, ``window``, ``power``,
``package``, ``df``, and files below ``/proc`` and ``/sys``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.system.text import finite_number

# android.os.Temperature and PowerManager.THERMAL_STATUS_*.
THERMAL_STATUS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")

SECTION = "@@"


def sections(text: str) -> dict[str, str]:
    """Return the text under each line ``@@name``, which separates the commands of one call."""
    lines_by_name: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if line.startswith(SECTION):
            current = lines_by_name.setdefault(line.removeprefix(SECTION).strip(), [])
        else:
            current.append(line)
    return {name: "\n".join(lines) for name, lines in lines_by_name.items()}


def parse_properties(text: str) -> dict[str, str]:
    """Return the properties that ``getprop`` prints; a value may span several lines."""
    pairs = re.findall(r"^\[([^\]\n]+)\]: \[(.*?)\]\r?$", text, re.MULTILINE | re.DOTALL)
    return dict(pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """The battery in percent and °C, and whether a charger powers the phone.

    ``charge_uah`` is the charge that is left in microampere-hours. ``forced``: a command set these values.
    """

    percent: float | None = None
    temperature_c: float | None = None
    powered: bool | None = None
    charge_uah: int | None = None
    volts: float | None = None
    forced: bool | None = None


def parse_battery(text: str) -> Battery:
    """Parse ``dumpsys battery``, which reports the temperature in tenths of a degree."""
    pairs = dict(re.findall(r"^\s*([A-Za-z ]+): (\S+)\s*$", text, re.MULTILINE))
    level, scale, tenths = (finite_number(pairs.get(key)) for key in ("level", "scale", "temperature"))
    charge, millivolts = finite_number(pairs.get("Charge counter")), finite_number(pairs.get("voltage"))
    # One line per kind of charger: "AC powered: true", "USB powered: false" and so on.
    powered = [value == "true" for key, value in pairs.items() if key.endswith("powered")]
    return Battery(
        percent=100 * level / (scale or 100) if level is not None else None,
        temperature_c=tenths / 10 if tenths is not None else None,
        powered=any(powered) if powered else None,
        # Phones that do not count report 0, or the smallest number.
        charge_uah=int(charge) if charge is not None and charge > 0 else None,
        # Some makers report volts.
        volts=millivolts / (1000 if millivolts > 100 else 1) if millivolts else None,
        forced=True if "UPDATES STOPPED" in text else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Thermal:
    """The thermal status, and °C by the name of the sensor; ``overridden`` if a shell command set the status."""

    status: str | None = None
    temperatures_c: dict[str, float] | None = None
    overridden: bool = False


def parse_thermal(text: str) -> Thermal:
    """Parse ``dumpsys thermalservice`` (Android 10 and later). Sensors that show 0 do not exist and are left out.

    The temperatures are the current ones from the hardware layer. The cached ones printed above them may be old.
    """
    status = re.search(r"^\s*Thermal Status: (\d{1,9})\b", text, re.MULTILINE)
    number = int(status[1]) if status else None
    block = text.partition("Current temperatures from HAL:")[2].partition("Current cooling")[0]
    values: dict[str, float] = {}
    for body in re.findall(r"Temperature\{([^}]*)\}", block or text):
        fields = dict(re.findall(r"(\w+)=([^,}]+)", body))
        value = finite_number(fields.get("mValue"))
        if value:
            values[fields.get("mName", "unnamed").strip()] = round(value, 3)
    return Thermal(
        status=THERMAL_STATUS[number] if number is not None and number < len(THERMAL_STATUS) else None,
        temperatures_c=values,
        overridden=bool(re.search(r"IsStatusOverride: true", text)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The package in front, and whether the lock screen is shown; None if not reported.

    ``foreground`` is the title of a window that belongs to no activity, such as ``NotificationShade``. It is None for a
    dialog in which the system says something about a runner app.
    """

    foreground: str | None = None
    locked: bool | None = None


# What the system shows when a runner app starts, such as that its libraries are laid out for 4 KB pages: the title is
# the app's label, or the name of the dialog in AppWarnings. And the dialogs about a crash or a hang of the app.
_OWN_DIALOGS = (
    r"phonebench\b|(?:PageSizeMismatch|Deprecated\w+|Unsupported\w+)Dialog\b"
    r"|Application (?:Error|Not Responding): org\.phonebench\."
)
_LOCKED = r"(?:mDreamingLockscreen|mShowingLockscreen|isStatusBarKeyguard|isKeyguardShowing|mKeyguardShowing)"


def parse_window(text: str) -> Window:
    """Parse ``dumpsys window``; Android versions name the lock screen differently."""
    focus = re.search(r"mCurrentFocus=Window\{\S+ u\d+ ([^/}]+)", text)
    front = focus[1].removesuffix(" EXITING").strip() if focus and not re.match(_OWN_DIALOGS, focus[1]) else None
    locked = re.findall(rf"\b{_LOCKED}=(true|false)", text)
    locked += re.findall(r"KeyguardServiceDelegate\s+showing=(true|false)", text)
    return Window(foreground=front, locked="true" in locked if locked else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """The screen, ``on`` or ``off``, and whether the phone saves power."""

    screen: str | None = None
    saving: bool | None = None


def parse_power(text: str) -> Power:
    """Parse ``dumpsys power`` and ``settings get global low_power``."""
    awake = re.search(r"mWakefulness=(\w+)", text)
    setting = re.search(r"^\s*low_power=(\d)", text, re.MULTILINE)
    enabled = re.search(r"mLowPowerModeEnabled=(true|false)|\bmBatterySaverEnabled=(true|false)", text)
    saving = setting[1] == "1" if setting else (enabled[0].endswith("true") if enabled else None)
    return Power(screen=("on" if awake[1] == "Awake" else "off") if awake else None, saving=saving)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An installed app; ``version`` is its ``versionName``."""

    version: str
    debuggable: bool


def parse_package(text: str, app_id: str) -> Package | None:
    """Parse what ``dumpsys package`` prints for an app; None if it is not installed."""
    start = re.search(rf"^\s*Package \[{re.escape(app_id)}\]", text, re.MULTILINE)
    if start is None:
        return None
    # The first block is the installed version. A preinstalled version that it replaced may follow.
    body = text[start.end() :]
    version = re.search(r"^\s*versionName=(.*?)\s*$", body, re.MULTILINE)
    flags = re.search(r"^\s*(?:pkgFlags|flags)=\[([^\]]*)\]", body, re.MULTILINE)
    return Package(version=version[1] if version else "", debuggable="DEBUGGABLE" in (flags[1] if flags else ""))


def parse_free_bytes(text: str) -> int | None:
    """Return the free bytes that ``df -k`` reports for one file system.

    ``df`` moves the figures to a new line after a long device name. The free space is the word before the percentage.
    """
    words = " ".join(text.splitlines()[1:]).split()
    percentages = [index for index, word in enumerate(words) if word.endswith("%") and index >= 3]
    if not percentages:
        return None
    available = finite_number(words[percentages[0] - 1])
    return round(available * 1024) if available is not None else None


def parse_memory_bytes(text: str, field: str) -> int | None:
    """Return a field of ``/proc/meminfo`` in bytes; the file gives it in kB."""
    match = re.search(rf"^{field}:\s+(\d{{1,15}}) kB", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def parse_numbers(text: str) -> tuple[int, ...]:
    """Return the numbers in a text of one number per line."""
    return tuple(int(line) for line in text.split() if line.isdecimal() and len(line) < 20)
