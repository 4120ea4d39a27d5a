"""The record behind one row of the registry: everything phonebench asks of a kind of device.

This module and the ``kind.py`` of each kind are imported whenever ``--help`` lists the device keys. They must start
light: whatever drives a device is imported inside the function that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from harness.devices.device import Device
    from harness.records.device import DeviceInfo
    from harness.spec.phone_settings import PhoneSettings
    from harness.wire import Delegate, Format


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckStep:
    """One step of a checkup: its name, whether it passed, and what was found."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """Every step of the check of one device.

    ``serial`` identifies the device that was checked and ``key`` opens it; ``serial`` is empty if none was found.
    """

    key: str
    serial: str
    steps: tuple[CheckStep, ...]

    @property
    def ok(self) -> bool:
        """Whether every step passed."""
        return all(step.ok for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledRunner:
    """What installing the runner of one runtime led to: its version on the device, or why it is not there."""

    runtime: str
    version: str = ""
    error: str = ""


def _no_language(format_: Format) -> bool:  # noqa: ARG001  of no format
    return False


def _itself(key: str) -> tuple[str, ...]:
    return (key,)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKind:
    """A kind of device. Its functions get the key as the user typed it: ``name``, or ``name:`` and the device's name.

    ``check_key`` raises `DeviceError` or `UnknownNameError` for a key that no device of this kind can have; it does not
    look for the device. ``open`` returns the device as a context manager that cleans it up; the settings are those that
    ``settings`` names, the rest keep their defaults. ``infos`` describes the devices that are there now; ``absent`` is
    what the list says when there are none. ``delegates`` is what a device can run on, asked before it is opened.
    ``formats`` is for kinds whose runtimes differ from the usual ones: the delegates of each format there, or why there
    is no runtime for it. ``language``: whether its runner runs language models of a format.

    ``present`` returns the keys of the devices that can take work now, all of them or those among the given keys if
    there are any, without disturbing one, for whoever follows devices as they come and go; None where a device must be
    named.

    ``expand`` replaces a key that stands for several devices, or for whichever one is connected, by their own keys.
    ``concurrent`` allows devices of this kind to measure side by side: they must share no processor with one another.
    ``settings`` are the spec keys of `PhoneSettings` that the kind understands. ``examples`` are keys of one device for
    ``--help``, ``group_examples`` keys of several. ``packages`` are rows for ``phonebench doctor``: the extra, the
    distribution, and what it is for. ``checkup`` checks a device step by step. ``install_runners`` puts the runner apps
    of the named runtimes on it, or all that are built if none is named; the folder with the apps is None for the usual
    one. Either is None where a kind has nothing of the sort.
    """

    name: str
    examples: tuple[str, ...]
    check_key: Callable[[str], None]
    open: Callable[[str, PhoneSettings], AbstractContextManager[Device]]
    infos: Callable[[], tuple[DeviceInfo, ...]]
    delegates: Callable[[str], tuple[Delegate, ...]]
    expand: Callable[[str], tuple[str, ...]] = _itself
    formats: Callable[[str], Mapping[Format, tuple[Delegate, ...] | str]] | None = None
    language: Callable[[Format], bool] = _no_language
    present: Callable[[Sequence[str]], tuple[str, ...]] | None = None
    concurrent: bool = False
    settings: frozenset[str] = frozenset()
    group_examples: tuple[str, ...] = ()
    absent: str = ""
    packages: tuple[tuple[str, str, str], ...] = ()
    checkup: Callable[[str], Checkup] | None = None
    install_runners: Callable[[str, tuple[str, ...], Path | None], tuple[InstalledRunner, ...]] | None = None


def name_in(key: str) -> str | None:
    """Return the part of a device key after its kind: ``hot`` in ``fake:hot``, None in ``fake``."""
    _, colon, name = key.partition(":")
    return name if colon else None
