"""The devices, gates and folders that a run holds open while it measures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.artifacts.cache import Cache
from harness.devices.device import Device
from harness.devices.registry import open_device
from harness.errors import InterruptedRunError, StoreError
from harness.measure.gate import Gate
from harness.progress import Progress
from harness.records.device import DeviceInfo
from harness.store.probes import keep_probes, read_probes
from harness.store.writer import RunWriter
from harness.workflows.check import Checked


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a run keeps things."""

    results: Path
    cache: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Where artifacts come from, and who is told how it goes."""

    cache: Cache
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A run that is held for writing, the gates of the devices that are open for it, and the tools of the build."""

    writer: RunWriter
    gates: dict[str, Gate]
    tools: Tools


@contextmanager
def opened(checked: Checked, writer: RunWriter) -> Iterator[dict[str, Gate]]:
    """Open the devices of a run, store what they are, and give each its gate. Raises `DeviceError`."""
    with ExitStack() as stack:
        devices = {key: stack.enter_context(open_device(key, checked.spec.settings)) for key in checked.spec.device}
        writer.update(devices=tuple(device.info for device in devices.values()))
        with gates_of(devices, writer.folder.parent) as gates:
            yield gates


@contextmanager
def gates_of(devices: dict[str, Device], results: Path) -> Iterator[dict[str, Gate]]:
    """Give each device its gate with the best probe that ``results`` knows of it, and keep the better one."""
    known = read_probes(results)
    gates = {key: Gate(device, best_probe_ns=known.get(_identity(device.info))) for key, device in devices.items()}
    try:
        yield gates
    finally:
        bests = {_identity(gate.device.info): gate.best_probe_ns for gate in gates.values()}
        keep_probes(results, known | {name: best for name, best in bests.items() if best is not None})


def _identity(info: DeviceInfo) -> str:
    return f"{info.key} {info.model} {info.cpu}"


@contextmanager
def resumable(writer: RunWriter) -> Iterator[None]:
    """Make Ctrl-C and a full disk errors that say how to go on; everything measured is stored already."""
    try:
        yield
    except KeyboardInterrupt:
        done = len(writer.record().measurements)
        total = len(writer.head.plan.cells) + len(writer.head.plan.holes)
        msg = f"stopped with {done} of {total} cells done; {how_to_resume(writer)}"
        raise InterruptedRunError(msg) from None
    except StoreError as error:
        msg = f"{error}; then {how_to_resume(writer)}"
        raise StoreError(msg) from error


def how_to_resume(writer: RunWriter) -> str:
    command = "run" if writer.head.goal is None else "search"
    return f"go on with: phonebench {command} --resume={writer.head.id}"
