"""The host's state, read from simulated ``proc`` and ``sys`` trees."""

from __future__ import annotations

from pathlib import Path

from harness.runners.host.state import sample_state


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def test_everything_that_is_there_is_read(tmp_path: Path) -> None:
    put(tmp_path / "proc/loadavg", "0.75 0.50 0.25 1/100 42")
    put(tmp_path / "proc/meminfo", "MemTotal: 8 kB\nMemAvailable:       4 kB")
    for core, khz in ((0, 1_800_000), (2, 2_400_000), (10, 3_000_000)):
        put(tmp_path / f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", str(khz))
        put(tmp_path / f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor", "schedutil")
    for zone, kind in ((0, "cpu"), (1, "cpu"), (2, "skin")):
        put(tmp_path / f"sys/class/thermal/thermal_zone{zone}/type", kind)
        put(tmp_path / f"sys/class/thermal/thermal_zone{zone}/temp", str(40_500 + 1000 * zone))
    state = sample_state(tmp_path)
    assert (state.load_1m, state.available_bytes, state.governor) == (0.75, 4096, "schedutil")
    assert state.cpu_khz == (1_800_000, 2_400_000, 3_000_000)
    assert state.temperatures_c == {"cpu": 40.5, "cpu-thermal_zone1": 41.5, "skin": 42.5}


def test_clocks_come_from_cpuinfo_where_cpufreq_is_hidden(tmp_path: Path) -> None:
    put(tmp_path / "proc/cpuinfo", "processor : 0\ncpu MHz\t\t: 2596.096\n\nprocessor : 1\ncpu MHz\t\t: 2000.5")
    assert sample_state(tmp_path).cpu_khz == (2_596_096, 2_000_500)


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    state = sample_state(tmp_path)
    assert (state.load_1m, state.available_bytes, state.governor) == (None, None, None)
    assert (state.cpu_khz, state.temperatures_c, state.thermal_status) == ((), {}, None)


def test_the_clock_of_the_real_state_moves_on() -> None:
    assert sample_state().at_ns < sample_state().at_ns
