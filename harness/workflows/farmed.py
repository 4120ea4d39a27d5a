"""Where the cells of a run are measured when it is not the plain loop: on a farm, or side by side in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from harness.artifacts.cache import Cache
from harness.devices.registry import expand_devices, kind_of
from harness.devices.wishes import Candidate, choose
from harness.errors import DeviceError, suggestion
from harness.farm.builds.ahead import Orderer
from harness.farm.engine import FarmEngine, FarmRun
from harness.farm.status import DeviceState, FarmDevice
from harness.farm.tls import FarmPlace
from harness.progress import Progress
from harness.records.device import DeviceInfo
from harness.spec.wish import is_wish, read_wish
from harness.store.writer import RunWriter
from harness.workflows.bench import FarmBuilds, FarmChoice, OpenRun, Places, opened
from harness.workflows.check import Checked, Expand

# A device with a cell at work is taken after those that are idle.
_BUSY = 0.5
FARM_FOLDER = "farm"


def farm_devices(keys: tuple[str, ...], place: FarmPlace) -> tuple[str, ...]:
    """Return the devices of a farm that ``keys`` stand for, each named by its own key.

    A kind alone and ``:any`` stand for the device with the least work. Raises `DeviceError` for what the farm does not
    have, and `DepotError`.
    """
    from harness.farm.host_agent import read_status

    devices = read_status(place).devices
    return tuple(dict.fromkeys(own for key in keys for own in _expand(key, devices)))


def _expand(key: str, devices: Sequence[FarmDevice]) -> tuple[str, ...]:
    kind, _, name = key.partition(":")
    if is_wish(key) or name in ("", "all"):
        return choose(read_wish(key), [_candidate(one) for one in devices if one.state is not DeviceState.AWAY])
    keys = kind_of(key).expand(key)
    there = [one.key for one in devices if one.info is not None]
    for own in keys:
        if own not in there:
            msg = (
                f"the farm has no device {own!r}; {suggestion(own, [k for k in there if k.startswith(kind)] or there)}"
            )
            raise DeviceError(msg)
    return keys


def _candidate(device: FarmDevice) -> Candidate:
    assert device.info is not None
    return Candidate(info=device.info, load=device.waiting + _BUSY * (device.state is DeviceState.BUSY))


def expander(places: Places) -> Expand:
    """Return what finds the devices that keys stand for: those of this computer, or of the farm."""
    place = places.farm.place
    if place is None:
        return expand_devices
    # A night has found its devices before its run begins, and one that is away by now costs its cells alone.
    return (lambda keys: keys) if places.farm.lenient else lambda keys: farm_devices(keys, place)


def is_farmed(key: str, choice: FarmChoice) -> bool:
    """Return whether cells of a device go through the engine."""
    return choice.place is not None or (choice.side_by_side and kind_of(key).concurrent)


@contextmanager
def open_run(checked: Checked, writer: RunWriter, held: Held) -> Iterator[OpenRun]:
    """Open the devices of a run, here and on its farm, store what they are, and yield the run. Raises `DeviceError`."""
    choice = held.places.farm
    far = [key for key in checked.spec.device if is_farmed(key, choice)]
    near = tuple(key for key in checked.spec.device if key not in far)
    with farmed(writer, far, choice) as farm, opened(near, writer, farm.infos) as gates:
        yield OpenRun(
            writer=writer,
            gates=gates,
            places=held.places,
            cache=held.cache,
            progress=held.progress,
            engine=farm.engine,
            builds=farm.builds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a run has before its devices are open."""

    places: Places
    cache: Cache
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Farmed:
    """The engine of a run, what its devices are, and where its files may be built."""

    engine: FarmEngine | None = None
    infos: tuple[DeviceInfo, ...] = ()
    builds: FarmBuilds | None = None


@contextmanager
def farmed(writer: RunWriter, keys: Sequence[str], choice: FarmChoice) -> Iterator[Farmed]:
    """Yield the engine for ``keys`` and what these devices are; no engine without any.

    Raises `DeviceError` if one of them is not there.
    """
    if not keys:
        yield Farmed()
        return
    root = writer.folder / FARM_FOLDER
    run = FarmRun(
        run=writer.head.id,
        fetched=root / "parcels",
        settings=writer.head.spec.settings,
        measured=frozenset(measurement.cell for measurement in writer.record().measurements),
        priority=choice.priority,
        patience_s=choice.patience_s,
    )
    if choice.place is not None:
        from harness.farm.host_agent import remote_farm

        with remote_farm(choice.place, run) as remote:
            devices = remote.link.status().devices
            infos = _known(keys, devices) if choice.lenient else _infos(keys, devices)
            orderer = Orderer(run=run.run, user=run.user, priority=run.priority, folder=root / "builds")
            builds = FarmBuilds(post=remote.link, orderer=orderer)
            yield Farmed(engine=remote.engine, infos=infos, builds=builds)
        return
    from harness.farm.on_one_host import local_farm

    with local_farm(root, keys, run, at_once=choice.at_once) as local:
        yield Farmed(engine=local.engine, infos=_infos(keys, local.depot.status().devices))


@contextmanager
def farm_of(choice: FarmChoice, run: FarmRun) -> Iterator[FarmEngine]:
    """Yield the engine of the farm of ``choice`` for other errands than the cells of a run.

    Raises `UsageError`, `DepotError`.
    """
    from harness.farm.host_agent import remote_farm

    assert choice.place is not None
    with remote_farm(choice.place, run) as remote:
        yield remote.engine


def _known(keys: Sequence[str], devices: Sequence[FarmDevice]) -> tuple[DeviceInfo, ...]:
    infos = {device.key: device.info for device in devices}
    return tuple(info for key in keys if (info := infos.get(key)) is not None)


def _infos(keys: Sequence[str], devices: Sequence[FarmDevice]) -> tuple[DeviceInfo, ...]:
    known = {device.key: device for device in devices}
    for key in keys:
        device = known.get(key)
        if device is None or device.info is None:
            msg = f"device {key!r} is not there now: plug it in, or name another one"
            raise DeviceError(msg)
        if device.state is DeviceState.AWAY:
            raise DeviceError(device.reason)
    return tuple(info for key in keys if (info := known[key].info) is not None)
