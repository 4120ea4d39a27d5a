"""What stands in for the hardware of boards: trees for /sys, and the tools of their makers.

The files have the names and units of the kernel's drivers. The tools print what their makers document; no board was at
hand to record them on.
"""

from __future__ import annotations

from pathlib import Path

# The rails of a Raspberry Pi 5 with a current and a voltage, from the documentation of `vcgencmd pmic_read_adc`; the
# input (EXT5V) and the battery of the clock have a voltage alone.
PMIC = """     3V7_WL_SW_A current(0)=0.10000000A
       3V3_SYS_A current(1)=0.20000000A
      VDD_CORE_A current(7)=2.00000000A
     3V7_WL_SW_V volt(8)=3.70000000V
       3V3_SYS_V volt(9)=3.30000000V
      VDD_CORE_V volt(15)=0.90000000V
         EXT5V_V volt(24)=5.10000000V
          BATT_V volt(25)=0.01000000V
"""
PMIC_WATTS = 0.1 * 3.7 + 0.2 * 3.3 + 2.0 * 0.9
_VCGENCMD = """#!/bin/sh
case "$1" in
  get_throttled) read bits < {folder}/throttled; echo "throttled=$bits" ;;
  pmic_read_adc) cat {folder}/pmic ;;
  *) echo "error=1 error_msg=\\"Command not registered\\"" ;;
esac
"""
_NVPMODEL = """#!/bin/sh
[ "$1" = -q ] && echo "NV Power Mode: MAXN_SUPER" && echo 2
"""


def write(root: Path, files: dict[str, str]) -> None:
    """Write files with their folders; each text gets the line end that the kernel prints."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


def cpus(root: Path, max_khz: tuple[int, ...]) -> None:
    """Cores with these maximum clocks, set by the governor ``ondemand``."""
    write(root, dict.fromkeys(("devices/system/cpu/present", "devices/system/cpu/possible"), f"0-{len(max_khz) - 1}"))
    write(root, {"devices/system/cpu/online": f"0-{len(max_khz) - 1}"})
    for core, khz in enumerate(max_khz):
        folder = f"devices/system/cpu/cpu{core}/cpufreq"
        write(root, {f"{folder}/cpuinfo_max_freq": str(khz), f"{folder}/scaling_cur_freq": str(khz)})
        write(root, {f"{folder}/scaling_governor": "ondemand"})


def raspberry_pi_5(sysfs: Path, tools: Path, *, inside: Path | None = None, cores: int = 4) -> None:
    """A Pi 5 with its active cooler; ``inside`` is where the board itself sees ``tools``."""
    cpus(sysfs, (2_400_000,) * cores)
    write(
        sysfs,
        {
            "firmware/devicetree/base/model": "Raspberry Pi 5 Model B Rev 1.0\0",
            "class/thermal/thermal_zone0/type": "cpu-thermal",
            "class/thermal/thermal_zone0/temp": "51250",
            "class/thermal/cooling_device0/type": "pwm-fan",
            "class/hwmon/hwmon0/name": "cpu_thermal",
        },
    )
    write(tools, {"throttled": "0x0"})
    (tools / "pmic").write_text(PMIC)
    program(tools / "vcgencmd", _VCGENCMD.format(folder=inside or tools))


def jetson_orin(sysfs: Path, tools: Path) -> None:
    """An Orin Nano without a fan: two clusters, and an ina3221 that measures the whole input and two parts of it."""
    cpus(sysfs, (1_100_000, 1_500_000))
    rails = {1: ("VDD_IN", 5000, 1200), 2: ("VDD_CPU_GPU_CV", 5000, 400), 3: ("VDD_SOC", 5000, 300)}
    write(sysfs, {"firmware/devicetree/base/model": "NVIDIA Jetson Orin Nano Developer Kit\0"})
    write(sysfs, {"class/hwmon/hwmon1/name": "ina3221", "class/hwmon/hwmon1/curr4_input": "1900"})
    for number, (label, millivolts, milliamperes) in rails.items():
        chip = f"class/hwmon/hwmon1/{{}}{number}_{{}}"
        write(sysfs, {chip.format("in", "label"): label, chip.format("in", "input"): str(millivolts)})
        write(sysfs, {chip.format("curr", "input"): str(milliamperes)})
    program(tools / "nvpmodel", _NVPMODEL)


JETSON_WATTS = 6.0


def program(path: Path, script: str) -> None:
    """Write a program of the board."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script)
    path.chmod(0o755)
