"""Everything that a phone reports about itself, in one record that a test changes while the phone runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

MIB = 1024 * 1024
MODERN = (
    "shell_v2",
    "cmd",
    "stat_v2",
    "ls_v2",
    "fixed_push_mkdir",
    "apex",
    "fixed_push_symlink_timestamp",
    "sendrecv_v2",
)
HOME_SCREEN = "com.android.launcher3/com.android.launcher3.Launcher"


@dataclass(kw_only=True)
class PhoneState:
    """What the phone's properties, services and files report.

    Assign to a field to change it; the files of /sys and /proc follow at once. Mappings are replaced, never changed in
    place: ``state.temperatures_c = {**state.temperatures_c, "skin": 48.0}``.
    """

    serial: str = "vphone-0"
    model: str = "Virtual Phone"
    manufacturer: str = "Phonebench"
    device: str = "vphone"
    product: str = "vphone"
    soc_manufacturer: str = "Virtual"
    soc_model: str = "V8"
    build_fingerprint: str = "phonebench/vphone/vphone:14/V8.000000.001/1:user/release-keys"
    api: int = 34
    abi: str = "x86_64"
    abis: tuple[str, ...] = ()
    security_patch: str = "2026-10-05"
    properties: Mapping[str, str] = field(default_factory=dict)
    """Further properties, which win over those made from the fields above."""
    features: tuple[str, ...] = MODERN
    """The features that adbd reports; empty for a phone before Android 7."""

    booted: bool = True
    boot_id: str = "6a5b2f00-0000-4000-8000-000000000001"
    clock_offset_s: float = 0.0
    """How far the phone's wall clock is ahead of this computer's."""

    battery_percent: int = 87
    battery_temperature_c: float = 27.5
    plugged: bool = True
    charging: bool = True
    battery_saver: bool = False
    battery_millivolts: int = 4187
    battery_forced: bool = False
    """Whether a command, such as ``dumpsys battery unplug``, set what the battery service says."""
    charge_step_uah: int = 1
    """The steps in which the charge counter shows the charge that is left."""
    watts: Callable[[float], float] | None = None
    """What the phone draws at a moment, in seconds since it was switched on; None for a phone without a counter.

    The true energy: rails and the charge counter both come from it.
    """
    rails: Mapping[str, float] = field(default_factory=lambda: {"VDD_CPU": 0.7, "VSYS_DISPLAY": 0.3})
    """The share of the power that each power rail has; empty for a phone that counts none."""
    has_perfetto: bool = True
    """Whether the phone has its tracer (Android 10)."""
    thermal_status: int = 0
    """0 none, 1 light, 2 moderate, 3 severe, 4 critical, 5 emergency, 6 shutdown."""
    thermal_override: int | None = None
    """The status that ``cmd thermalservice override-status`` claims; None for the true one."""
    temperatures_c: Mapping[str, float] = field(
        default_factory=lambda: {"CPU0": 41.0, "GPU0": 38.0, "battery": 27.5, "skin": 31.0}
    )
    thermal_headroom: float | None = 0.45

    cores: tuple[tuple[int, int, int], ...] = ((4, 300_000, 1_800_000), (4, 500_000, 2_800_000))
    """Clusters, smallest first: how many cores, lowest and highest clock in kHz."""
    cpu_khz: Mapping[int, int] = field(default_factory=dict)
    """The clock of single cores now; those not named run at their cluster's highest."""
    governor: str = "walt"
    load_1m: float = 0.42
    memory_bytes: int = 7680 * MIB
    page_bytes: int = 4096
    """The page size that ``getconf`` reports; the real pages of this computer do not change."""
    available_bytes: int = 4096 * MIB
    sys_readable: bool = True
    """Whether the shell may read thermal zones and clocks below /sys, which some makers forbid."""

    screen_on: bool = True
    locked: bool = False
    secure_lock: bool = False
    """Whether a code or a pattern is needed to unlock it."""
    foreground: str = HOME_SCREEN
    dialog: str = ""
    """The title of a dialog of the system above the app in front, which has the focus; empty for none."""
    start_dialog: str = ""
    """The title of the dialog that the system shows whenever an app starts, such as one for old libraries."""
    shares_files: bool = True
    """Whether apps have a folder on shared storage, which some phones lack or forbid."""
    failing: tuple[str, ...] = ()
    """The names of commands that exit with 1, though they do their work, as some makers' do."""
    user: int = 0
    """The user in front. Commands that name none may mean another one."""
    stay_on: int = 0
    """As the setting ``stay_on_while_plugged_in``: 0 no, 7 for any charger."""
    fixed_performance: bool = False
    """Whether the shell has enabled the benchmark mode."""
    has_fixed_performance: bool = True
    """Whether the phone has that mode at all (Android 11)."""
    install_restricted: bool = False
    """Whether the phone asks the user before an install over USB; the user does not answer."""
    settings: Mapping[str, str] = field(
        default_factory=lambda: {"system/screen_off_timeout": "60000", "system/screen_brightness": "102"}
    )

    _watcher: Callable[[], None] | None = field(default=None, repr=False, compare=False)

    def watch(self, watcher: Callable[[], None] | None) -> None:
        """Call this after every change; None ends it."""
        self._watcher = watcher

    def __setattr__(self, name: str, value: object) -> None:
        """Set a new value and notify the watchers."""
        object.__setattr__(self, name, value)
        watcher: Callable[[], None] | None = self.__dict__.get("_watcher")
        if watcher is not None and not name.startswith("_"):
            watcher()

    @property
    def all_abis(self) -> tuple[str, ...]:
        """The instruction sets that the phone can run, best first."""
        with_32_bit = {"arm64-v8a": ("arm64-v8a", "armeabi-v7a", "armeabi"), "x86_64": ("x86_64", "x86")}
        return self.abis or with_32_bit.get(self.abi, (self.abi,))

    @property
    def release(self) -> str:
        """The version of Android that belongs to the API level."""
        names = {26: "8.0.0", 27: "8.1.0", 28: "9", 29: "10", 30: "11", 31: "12", 32: "12", 33: "13", 34: "14"}
        return names.get(self.api, str(self.api - 20) if self.api > 34 else "7.0")

    @property
    def banner(self) -> str:
        """What adbd reports when a server connects."""
        said = {"ro.product.name": self.product, "ro.product.model": self.model, "ro.product.device": self.device}
        features = {"features": ",".join(self.features)} if self.features else {}
        return "device::" + ";".join(f"{key}={value}" for key, value in (said | features).items())
