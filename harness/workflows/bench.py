"""The folders, devices and gates that a run holds open while it measures."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.artifacts.cache import Cache
from harness.devices.device import Device
from harness.devices.registry import open_device
from harness.errors import IncompleteError, InterruptedRunError, PhonebenchError, StoreError
from harness.measure.gate import Gate
from harness.progress import Progress
from harness.records.device import DeviceInfo
from harness.store.probes import keep_probes, read_probes
from harness.store.records import RunHead
from harness.store.writer import RunWriter
from harness.system.faults import environment_fault
from harness.system.paths import DEFAULT_RESULTS, cache_folder

if TYPE_CHECKING:
    from harness.farm.builds.ahead import Orderer
    from harness.farm.builds.calls import BuildPost
    from harness.farm.engine import FarmEngine
    from harness.farm.tls import FarmPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmChoice:
    """Where devices are looked for and how many work at the same time.

    ``place`` is a farm of many hosts, None for this computer. ``side_by_side`` sends the cells of this computer's
    phones through the engine too, ``at_once`` phones at a time, None for all. Cells of a higher ``priority`` run first.
    A device may be away for ``patience_s``; unless the choice is ``lenient``, it must be there when a run begins.
    """

    place: FarmPlace | None = None
    side_by_side: bool = False
    at_once: int | None = None
    priority: int = 0
    patience_s: float = 600.0
    lenient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a run keeps its files and finds its devices; ``options`` are those of the command line that say so."""

    results: Path
    cache: Path
    options: tuple[str, ...] = ()
    farm: FarmChoice = FarmChoice()

    def how_to_resume(self, head: RunHead) -> str:
        """Return the end of a message: the command that resumes the run of ``head`` from a shell."""
        return f"to resume: {self.resume_command('run' if head.goal is None else 'search', head.id)}"

    def resume_command(self, command: str, name: str, *more: str) -> str:
        """Return the line that resumes the run or night ``name``, quoted for a shell; ``more`` options come last."""
        return shlex.join(["phonebench", command, f"--resume={name}", *self.options, *more])


def places_of(results: Path, cache_dir: Path | None) -> Places:
    """Return where a run keeps its files; None stands for the user's cache folder."""
    cache = cache_folder(cache_dir)
    options = [] if results == DEFAULT_RESULTS else ["--results", str(results)]
    options += [] if cache == cache_folder(None) else ["--cache-dir", str(cache)]
    return Places(results=results, cache=cache, options=tuple(options))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """A run that is held for writing, with the gates of its devices, the artifact cache, and the progress display."""

    writer: RunWriter
    gates: dict[str, Gate]
    places: Places
    cache: Cache
    progress: Progress
    engine: FarmEngine | None = None
    builds: FarmBuilds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmBuilds:
    """Where a run that has a farm may have its files built, and who it is there."""

    post: BuildPost
    orderer: Orderer


@contextmanager
def opened(keys: Sequence[str], writer: RunWriter, others: Sequence[DeviceInfo] = ()) -> Iterator[dict[str, Gate]]:
    """Open devices, store what they and ``others`` are, and yield the gate of each. Raises `DeviceError`.

    What is stored of further devices stays: they have measured all their cells, or are away.
    """
    with ExitStack() as stack:
        settings = writer.head.spec.settings
        devices = {key: stack.enter_context(open_device(key, settings)) for key in keys}
        now = {info.key: info for info in (*(device.info for device in devices.values()), *others)}
        writer.update(devices=tuple(({info.key: info for info in writer.head.devices} | now).values()))
        with gates_of(devices, writer.folder.parent) as gates:
            yield gates


@contextmanager
def gates_of(devices: dict[str, Device], results: Path) -> Iterator[dict[str, Gate]]:
    """Give each device a gate that knows its best speed probe in ``results``; afterwards, store the better probes.

    A device is the same one when its key, model and processor are equal: the key ``android`` is any phone.
    """
    probes = read_probes(results)
    gates = {key: Gate(device, best_probe_ns=probes.get(_identity(device.info))) for key, device in devices.items()}
    try:
        yield gates
    finally:
        bests = {_identity(gate.device.info): gate.best_probe_ns for gate in gates.values()}
        keep_probes(results, probes | {name: best for name, best in bests.items() if best is not None})


def _identity(info: DeviceInfo) -> str:
    return f"{info.key} {info.model} {info.cpu}"


@contextmanager
def resumable(writer: RunWriter, places: Places) -> Iterator[None]:
    """Turn Ctrl-C, a full disk and what else the computer lacks into errors that say how to resume.

    Every measurement is stored by then.
    """
    try:
        yield
    except KeyboardInterrupt:
        done = len(writer.record().measurements)
        total = len(writer.head.plan.cells) + len(writer.head.plan.holes)
        msg = f"stopped with {done} of {total} cells done; {places.how_to_resume(writer.head)}"
        raise InterruptedRunError(msg) from None
    except StoreError as error:
        msg = f"{error}; then, {places.how_to_resume(writer.head)}"
        raise StoreError(msg) from error
    except PhonebenchError:
        raise
    # Libraries report what the computer lacks in errors of many types. Any other error is raised again as it is.
    except Exception as error:
        fault = environment_fault(error)
        if fault is None:
            raise
        msg = f"{fault}; then, {places.how_to_resume(writer.head)}"
        raise IncompleteError(msg) from error
