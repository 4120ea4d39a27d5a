"""What a phone is, read in one call, and whether it can be measured."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.devices.android.adb.cable import SHELL_S, Cable
from harness.devices.android.advice import named, phone_error
from harness.devices.android.texts import parse_battery, parse_memory_bytes, parse_properties, sections
from harness.devices.energy import COUNTER, NO_COUNTER
from harness.errors import PhoneTrouble
from harness.records.conditions import Condition, ConditionId
from harness.records.device import DeviceInfo
from harness.system.text import whole_number
from harness.wire import EnergySource, RunnerInfo

# The runner apps are built for Android 8 and later.
MIN_API = 26

FACTS_SCRIPT = """echo @@properties; getprop
echo @@memory; cat /proc/meminfo
echo @@cores; cat /sys/devices/system/cpu/present
echo @@page; getconf PAGE_SIZE
echo @@boot; cat /proc/sys/kernel/random/boot_id
echo @@user; am get-current-user
echo @@energy; command -v perfetto; dumpsys battery
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneFacts:
    """What a phone reports about itself. ``boot_id`` changes every time it starts; ``user`` is the user in front."""

    serial: str
    manufacturer: str
    model: str
    soc: str
    release: str
    api: int
    abis: tuple[str, ...]
    cores: int
    memory_bytes: int
    emulator: bool
    booted: bool
    fingerprint: str
    security_patch: str
    page_bytes: int | None
    boot_id: str
    user: int = 0
    unit: str = ""
    counts_energy: bool = False

    def info(self, key: str) -> DeviceInfo:
        """Return the facts in the form that all device kinds share."""
        return DeviceInfo(
            key=key,
            kind="android",
            model=f"{self.manufacturer} {self.model}".strip() or "unknown",
            os=f"Android {self.release}",
            cpu=self.soc,
            cores=self.cores,
            memory_bytes=self.memory_bytes,
            abi=self.abis[0] if self.abis else "unknown",
            details=self._energy()
            | {
                "serial": self.serial,
                "unit": self.unit or self.serial,
                "api": str(self.api),
                "abis": " ".join(self.abis),
                "build": self.fingerprint,
                "security_patch": self.security_patch,
                "page_bytes": "" if self.page_bytes is None else str(self.page_bytes),
            },
        )

    def _energy(self) -> dict[str, str]:
        if self.counts_energy:
            return {COUNTER: f"{EnergySource.RAILS.value} or {EnergySource.BATTERY.value}"}
        return {NO_COUNTER: "the phone has neither the tracer Perfetto (Android 10) nor a counter of its battery"}


def read_facts(cable: Cable, *, seconds: float = SHELL_S) -> PhoneFacts:
    """Read the facts of a phone. Raises `PhoneError`."""
    return parse_facts(cable.serial, cable.run(FACTS_SCRIPT, seconds=seconds).text)


def parse_facts(serial: str, text: str) -> PhoneFacts:
    """Return the facts in the output of `FACTS_SCRIPT`."""
    texts = sections(text)
    properties = parse_properties(texts.get("properties", ""))

    def first(*names: str) -> str:
        return next((properties[name] for name in names if properties.get(name)), "")

    page, api = texts.get("page", "").strip(), first("ro.build.version.sdk")
    user = texts.get("user", "").strip()
    return PhoneFacts(
        serial=serial,
        manufacturer=first("ro.product.manufacturer"),
        model=first("ro.product.model"),
        soc=_soc(properties),
        release=first("ro.build.version.release"),
        api=whole_number(api) or 0,
        abis=tuple(filter(None, first("ro.product.cpu.abilist", "ro.product.cpu.abi").split(","))),
        cores=_cores(texts.get("cores", "")),
        memory_bytes=parse_memory_bytes(texts.get("memory", ""), "MemTotal") or 0,
        emulator=_is_emulator(properties),
        booted=first("sys.boot_completed") == "1",
        fingerprint=first("ro.build.fingerprint"),
        security_patch=first("ro.build.version.security_patch"),
        page_bytes=whole_number(page),
        boot_id=texts.get("boot", "").strip(),
        user=whole_number(user) or 0,
        # A phone on the network has an address in place of its serial number.
        unit=first("ro.serialno", "ro.boot.serialno"),
        counts_energy=_counts_energy(texts.get("energy", "")),
    )


def _counts_energy(text: str) -> bool:
    charge = parse_battery(text).charge_uah
    return charge is not None or any(line.strip().endswith("/perfetto") for line in text.splitlines())


def check_facts(facts: PhoneFacts) -> None:
    """Raise `PhoneError` if a phone with these facts cannot be measured, or not yet."""
    who = named(facts.serial)
    if facts.api and facts.api < MIN_API:
        what = f"{who} has Android {facts.release} (API {facts.api}); the runner apps need API {MIN_API}"
        raise phone_error(PhoneTrouble.TOO_OLD, what, serial=facts.serial)
    if not facts.booted:
        raise phone_error(PhoneTrouble.BOOTING, f"{who} is still starting", serial=facts.serial)


def emulator_condition(facts: PhoneFacts) -> Condition | None:
    """Return the condition of an emulated phone, None for a real one."""
    if not facts.emulator:
        return None
    return Condition(
        id=ConditionId.EMULATOR,
        summary="emulated phone: its figures are those of the computer it runs on",
        detail=f"{facts.model} reports that it is an emulator",
    )


def page_condition(facts: PhoneFacts, runner: RunnerInfo) -> Condition | None:
    """Return the condition of an app whose native libraries are aligned to smaller pages than the phone's."""
    pages, alignment = facts.page_bytes, runner.library_page_bytes
    if pages is None or alignment is None or pages <= alignment:
        return None
    return Condition(
        id=ConditionId.PAGE_SIZE,
        summary=f"the phone has {_kib(pages)} pages, but a library of the runner app is aligned to {_kib(alignment)}",
        detail="Android copies such a library into memory in a compatibility mode, or refuses to load it",
    )


def _kib(size: int) -> str:
    return f"{size / 1024:g} KB"


def _soc(properties: dict[str, str]) -> str:
    """Return the chip's product name (Android 12 and later), else the platform's code name."""
    soc = f"{properties.get('ro.soc.manufacturer', '')} {properties.get('ro.soc.model', '')}".strip()
    # Older systems only have code names, such as "kona".
    return soc or properties.get("ro.board.platform", "") or properties.get("ro.hardware", "") or "unknown"


def _cores(text: str) -> int:
    """Return the number of cores in a list such as ``0-3,6``; 0 if it cannot be parsed."""
    count = 0
    for start, end in re.findall(r"\b([0-9]{1,4})(?:-([0-9]{1,4}))?\b", text):
        count += int(end or start) - int(start) + 1
    return count


def _is_emulator(properties: dict[str, str]) -> bool:
    # goldfish and ranchu are the Android emulator, cutf_cvm and vsoc are Cuttlefish.
    flags = ("ro.kernel.qemu", "ro.boot.qemu")
    hardware = properties.get("ro.hardware", "")
    return any(properties.get(name) == "1" for name in flags) or hardware in ("goldfish", "ranchu", "cutf_cvm", "vsoc")
