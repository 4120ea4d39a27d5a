"""The devices of the history, and one of them."""

from __future__ import annotations

from contextlib import suppress

from harness.dashboard.content import ONE_DEVICE, Content, Place, Query, lines_below, link, name_in
from harness.dashboard.pages.farm import farm_status
from harness.dashboard.site import Site
from harness.errors import StoreError, UsageError
from harness.farm.status import FarmDevice
from harness.history.browse import DeviceLine, device_named, list_devices
from harness.history.records import Environment
from harness.records import units
from harness.report.pages import PageTable, page_fragments
from harness.workflows.nightly.device_words import USAGE_TITLES, USAGE_WORDS, usage_rows
from harness.workflows.nightly.quarantine import describe
from harness.workflows.nightly.record import NightDevices, newest_devices


def device_list(site: Site, query: Query) -> Content:  # noqa: ARG001  every page is called alike
    """Every device that the history has series of."""
    with site.history.reading() as history:
        lines = list_devices(history)
    answer = [f"{len(lines)} devices." if lines else "The history has no devices yet."]
    table = PageTable(
        heading="Devices",
        titles=("device", "model", "processor", "system", "series", "newest night"),
        rows=[_row(line) for line in lines],
        texts=(0, 1, 2, 3),
    )
    night = newest_devices(site.results)
    tables = [table] if night is None else [table, _usage(night)]
    fragments = page_fragments(about="devices", answer=answer + (_troubles(night) if night else []), tables=tables)
    return Content(place=Place.DEVICES, title="Devices", lead="As their series name them", fragments=fragments)


def one_device(site: Site, query: Query) -> Content:
    """What is known about a device from its newest night."""
    name = name_in(query, "device")
    try:
        with site.history.reading() as history:
            line = device_named(history, name)
    except StoreError:
        # A farm may have devices long before there is a history.
        on_farm = _on_farm(site, name)
        if on_farm is None:
            raise
        return _new_device(name, on_farm)
    if line is None:
        # Asked only now: a farm that does not answer must not hold up the page of a device that the history knows.
        return _new_device(name, _on_farm(site, name))
    answer = [f"{line.series} series, newest night {line.night or units.NONE}."]
    answer.append(link("Its series", Place.SERIES, find=name))
    facts = _facts(line.environment) if line.environment else ["It has no values yet."]
    return Content(
        place=Place.DEVICES,
        title=name,
        lead=line.environment.device_class if line.environment else "",
        fragments=[*page_fragments(about=name, answer=answer), lines_below("As it was on its newest night", facts)],
    )


def _on_farm(site: Site, name: str) -> FarmDevice | None:
    with suppress(StoreError):
        status = farm_status(site)
        return next((one for one in status.devices if one.key == name), None) if status is not None else None
    return None


def _new_device(name: str, device: FarmDevice | None) -> Content:
    """A device that only the farm knows."""
    if device is None:
        msg = f"the history has no device {name!r}"
        raise UsageError(msg)
    answer = ["It is a device of the farm, and the history has no series of it yet.", link("The farm", Place.FARM)]
    info = device.info
    facts = {
        "State": f"{device.state.value}{f', {device.reason}' if device.reason else ''}",
        "Host": device.host,
        "Model": info.model if info else "",
        "Processor": info.cpu if info else "",
        "System": info.os if info else "",
    }
    lines = [f"{title}: {value}" for title, value in facts.items() if value]
    return Content(
        place=Place.DEVICES,
        title=name,
        lead=info.model if info else "",
        fragments=[*page_fragments(about=name, answer=answer), lines_below("As the farm describes it now", lines)],
    )


def _troubles(night: NightDevices) -> list[str]:
    """The devices that the newest night could not use, and those that the next one will not try."""
    lines = [f"{absent.device} was absent on night {night.id}: {absent.reason}." for absent in night.absent]
    carried = night.handed_on.devices if night.handed_on is not None else ()
    away = {absent.device for absent in night.absent}
    resting = [health for health in carried if health.since is not None and health.device not in away]
    return lines + [f"{health.device} has been {describe(health, health.wait + 1)}." for health in resting]


def _usage(night: NightDevices) -> PageTable:
    return PageTable(
        heading=f"What night {night.id} cost",
        titles=USAGE_TITLES,
        rows=usage_rows(night.usage),
        texts=(0,),
        words=USAGE_WORDS,
    )


def _row(line: DeviceLine) -> tuple[str, ...]:
    place = line.environment
    model, soc, system = (place.device_class, place.soc, place.os_build) if place else ("", "", "")
    return (
        link(line.key, ONE_DEVICE, name=line.key),
        model or units.NONE,
        soc or units.NONE,
        system or units.NONE,
        str(line.series),
        line.night or units.NONE,
    )


def _facts(place: Environment) -> list[str]:
    facts = {
        "Model": place.device_class,
        "Processor": place.soc,
        "System": place.os_build,
        "Runtime": f"{place.runtime} {place.runtime_version}".strip(),
        "Runner": place.runner,
        "Serial number, as a digest": place.serial_hash,
    }
    return [f"{name}: {value}" for name, value in facts.items() if value]
