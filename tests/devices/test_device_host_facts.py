"""Facts and conditions of the host, read from fabricated system folders."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from harness.devices.host.facts import BUSY_LOAD, host_conditions, host_info, usable_cores
from harness.records.conditions import ConditionId


def put(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def ids(root: Path, load_1m: float = 0.0) -> set[ConditionId]:
    return {condition.id for condition in host_conditions(root, load_1m=load_1m)} - {ConditionId.DESKTOP_CPU}


def test_a_quiet_machine_of_ones_own_has_no_condition(tmp_path: Path) -> None:
    put(tmp_path / "proc/cpuinfo", "flags\t: fpu avx2\n")
    assert ids(tmp_path) == set()


@pytest.mark.parametrize(
    ("file", "text"),
    [(".dockerenv", ""), ("run/.containerenv", ""), ("proc/cpuinfo", "model name : x\nflags\t: fpu hypervisor avx2\n")],
)
def test_a_container_or_a_virtual_machine_is_shared(file: str, text: str, tmp_path: Path) -> None:
    put(tmp_path / file, text)
    assert ids(tmp_path) == {ConditionId.SHARED_HOST}


def test_a_busy_machine_says_how_busy(tmp_path: Path) -> None:
    load = usable_cores() * BUSY_LOAD
    assert ids(tmp_path, load) == set()
    busy = [c for c in host_conditions(tmp_path, load_1m=load + 1.25) if c.id is ConditionId.BUSY_HOST]
    assert f"load {load + 1.25:.2f}" in busy[0].summary


def test_a_desktop_processor_is_said_on_x86_alone(tmp_path: Path) -> None:
    found = {condition.id for condition in host_conditions(tmp_path, load_1m=0)}
    assert (ConditionId.DESKTOP_CPU in found) == (platform.machine().lower() in ("x86_64", "amd64"))


def test_facts_are_read_where_they_stand(tmp_path: Path) -> None:
    put(tmp_path / "proc/cpuinfo", "model name\t: Example 9000\nflags\t\t: fpu avx2 avx512_vnni sse\n")
    put(tmp_path / "sys/devices/virtual/dmi/id/product_name", "Laptop 5\n")
    info = host_info(tmp_path)
    assert (info.cpu, info.model, info.details["instruction_sets"]) == ("Example 9000", "Laptop 5", "avx2 avx512_vnni")


def test_a_machine_that_tells_nothing_still_has_facts(tmp_path: Path) -> None:
    info = host_info(tmp_path)
    assert info.cpu
    assert info.model
    assert (info.cores or 0) >= 1
    assert (info.memory_bytes or 0) > 2**20
