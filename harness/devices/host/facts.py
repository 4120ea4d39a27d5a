"""What this machine is, and the conditions that apply to its measurements. Everything is read; nothing is run."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil

from harness.records.conditions import Condition, ConditionId
from harness.records.device import DeviceInfo

ROOT = Path("/")
# Above this load per core, another process competes with the measured one for a good part of the time.
BUSY_LOAD = 0.7

# Instruction sets that decide which int8, fp16 and matrix kernels a runtime chooses.
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "avx512_fp16", "asimdhp", "asimddp", "i8mm", "sve")
_X86 = ("x86_64", "amd64", "i386", "i686")


def host_info(root: Path = ROOT) -> DeviceInfo:
    """Return what this machine is; ``root`` is the folder that holds ``proc`` and ``sys``. Raises nothing."""
    machine = platform.machine()
    flags = set(_cpuinfo(root, "flags", "Features").split())
    return DeviceInfo(
        key="host",
        kind="host",
        model=_read(root / "sys/devices/virtual/dmi/id/product_name") or machine or "unknown",
        os=_os_name(),
        cpu=_cpuinfo(root, "model name", "Model") or platform.processor() or machine or "unknown",
        cores=usable_cores(),
        memory_bytes=int(psutil.virtual_memory().total),
        abi=machine or "unknown",
        details={
            "kernel": platform.release(),
            "python": platform.python_version(),
            "instruction_sets": " ".join(flag for flag in FLAGS if flag in flags),
        },
    )


def host_conditions(root: Path = ROOT, *, load_1m: float | None = None) -> tuple[Condition, ...]:
    """Return the conditions of this machine now; ``load_1m`` replaces its own one-minute load average."""
    load = load_1m if load_1m is not None else psutil.getloadavg()[0]
    candidates = (desktop_condition(platform.machine()), _shared(root), busy_condition(load, usable_cores()))
    return tuple(condition for condition in candidates if condition is not None)


def usable_cores() -> int:
    """Return how many cores this process may use; fewer than the machine has in a container or under taskset."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def desktop_condition(machine: str) -> Condition | None:
    """Return the condition of a processor that no phone has, if ``machine`` is one."""
    if machine.lower() not in _X86:
        return None
    return Condition(
        id=ConditionId.DESKTOP_CPU,
        summary="desktop processor: its latencies do not show how fp16 and int8 rank on phones",
        detail=f"the fp16 and int8 kernels for {machine} differ from those for the ARM cores of phones",
    )


def _shared(root: Path) -> Condition | None:
    # Files that Docker and Podman create in their containers.
    container = (root / ".dockerenv").exists() or (root / "run/.containerenv").exists()
    return shared_condition(container=container, virtual="hypervisor" in _cpuinfo(root, "flags").split())


def shared_condition(*, container: bool, virtual: bool) -> Condition | None:
    """Return the condition of a machine that others may use unseen, if it is one."""
    reasons = [*(["a container"] if container else []), *(["a virtual machine"] if virtual else [])]
    if not reasons:
        return None
    return Condition(
        id=ConditionId.SHARED_HOST,
        summary="shared machine: other guests may use the processor, unseen from here",
        detail=f"this is {' in '.join(reasons)}",
    )


def busy_condition(load_1m: float, cores: int) -> Condition | None:
    """Return the condition of a machine with other work, if its one-minute load average shows any."""
    if load_1m / cores <= BUSY_LOAD:
        return None
    return Condition(
        id=ConditionId.BUSY_HOST,
        summary=f"busy machine: load {load_1m:.2f} on {cores} cores before the launch",
        detail=f"the one-minute load average per core is {load_1m / cores:.2f}; the limit is {BUSY_LOAD}",
    )


def _cpuinfo(root: Path, *names: str) -> str:
    """Return the first value of /proc/cpuinfo under one of ``names``, empty if there is none."""
    for line in (_read(root / "proc/cpuinfo") or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in names:
            return value.strip()
    return ""


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return f"{platform.system()} {platform.mac_ver()[0] or platform.release()}".strip()


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None
