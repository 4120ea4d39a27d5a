"""Every error that phonebench raises on purpose. Each branch of the tree has its own exit code.

A message says what failed, names the value, and ends with what to do next.

    PhonebenchError              1   (never raised by itself)
    ├── UsageError               2   the command line, a spec file or a model folder is wrong
    │   └── UnknownNameError     2   a name outside a closed set; the message suggests the nearest one
    ├── DeviceError              3   a device is missing or unfit
    │   ├── PhoneError           3   a phone or its adb server; its ``trouble`` says which
    │   ├── BoardError           3   a board or the way to it; its ``trouble`` says which
    │   ├── IosError             3   an iPhone or the way to it; its ``trouble`` says which
    │   ├── LeaseError           3   a farm does not lend a phone; its ``trouble`` says why
    │   └── CloudError           3   a cloud does not take a job, or does not return its results
    ├── BuildError               4   a model cannot be loaded, or an artifact cannot be built
    │   └── MissingPackageError  4   an optional package is not installed
    ├── RunError                 5   the run on a device failed
    ├── StoreError               6   stored results, the cache or the history cannot be read or written
    ├── SignatureError           7   a file is not what the required key has signed, or a key cannot be used
    ├── IncompleteError         20   a device went away; what was measured is stored, and the run can be resumed
    └── InterruptedRunError    130   Ctrl-C; what was measured is stored
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum


class PhonebenchError(Exception):
    """Base of all errors that are shown to the user; ``exit_code`` is what the command returns."""

    exit_code = 1


class UsageError(PhonebenchError):
    """The command line, a spec file or a model folder asks for something that does not exist or cannot be."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name outside a closed set.

    Attributes: ``name`` (the unknown name), ``kind`` (what it should name, such as ``"format"``), ``allowed``, and
    ``where`` it was found (empty for the command line).
    """

    def __init__(self, name: str, *, kind: str, allowed: Iterable[str], where: str = "") -> None:
        self.kind, self.name, self.allowed, self.where = kind, name, tuple(allowed), where
        place = f" in {where}" if where else ""
        super().__init__(f"unknown {kind} {name!r}{place}; {suggestion(name, self.allowed)}")


class DeviceError(PhonebenchError):
    """A device is missing, or it cannot take work.

    ``one_cell`` says that only the work in flight is affected: the device lacks the runner of one runtime, or the space
    for one model, and may well run the next cell.
    """

    exit_code = 3

    def __init__(self, message: str, *, one_cell: bool = False) -> None:
        self.one_cell = one_cell
        super().__init__(message)


class PhoneTrouble(StrEnum):
    """What keeps a phone from working. None of it is the model's fault."""

    NO_ADB = "no-adb"
    NO_SERVER = "no-server"
    NO_PHONE = "no-phone"
    SEVERAL = "several"
    OFFLINE = "offline"
    UNAUTHORISED = "unauthorised"
    NO_RIGHTS = "no-rights"
    WRONG_MODE = "wrong-mode"
    HUNG = "hung"
    GONE = "gone"
    BOOTING = "booting"
    RESTARTED = "restarted"
    LOCKED = "locked"
    TOO_OLD = "too-old"
    FULL = "full"
    APP = "app"
    BUSY = "busy"
    KEYSTORE = "keystore"
    REFUSED = "refused"


class PhoneError(DeviceError):
    """A phone, or the adb server before it, cannot take work.

    Attributes: ``trouble``, ``serial`` (empty when it is no single phone's), ``command`` and ``output`` (the evidence),
    and ``what``, the message without what to do about it.
    """

    def __init__(
        self, message: str, *, trouble: PhoneTrouble, serial: str = "", command: str = "", output: str = ""
    ) -> None:
        self.trouble, self.serial, self.command, self.output = trouble, serial, command, output
        self.what = message
        super().__init__(message, one_cell=trouble in (PhoneTrouble.APP, PhoneTrouble.FULL))


class BoardTrouble(StrEnum):
    """What keeps a board from working. None of it is the model's fault."""

    NO_SSH = "no-ssh"
    NAME = "name"
    UNREACHABLE = "unreachable"
    CLOSED_PORT = "closed-port"
    KEY_CHANGED = "key-changed"
    KEY_UNKNOWN = "key-unknown"
    NOT_ALLOWED = "not-allowed"
    LOST = "lost"
    NO_PYTHON = "no-python"
    OLD_PYTHON = "old-python"
    MACHINE = "machine"
    FULL = "full"
    BUSY = "busy"
    CLOCKS = "clocks"
    CORES = "cores"
    RESTARTED = "restarted"
    WHEELS = "wheels"
    REFUSED = "refused"


class BoardError(DeviceError):
    """A board, or the way to it, cannot take work.

    Attributes: ``trouble``, ``board`` (the name that ssh knows), ``command`` and ``output`` (the evidence).
    """

    def __init__(
        self, message: str, *, trouble: BoardTrouble, board: str = "", command: str = "", output: str = ""
    ) -> None:
        self.trouble, self.board, self.command, self.output = trouble, board, command, output
        super().__init__(message, one_cell=trouble in (BoardTrouble.FULL, BoardTrouble.WHEELS))


class IosTrouble(StrEnum):
    """What keeps an iPhone from working. None of it is the model's fault."""

    NO_DRIVER = "no-driver"
    NO_USBMUXD = "no-usbmuxd"
    NO_PHONE = "no-phone"
    SEVERAL = "several"
    GONE = "gone"
    HUNG = "hung"
    NOT_TRUSTED = "not-trusted"
    TRUST_REFUSED = "trust-refused"
    LOCKED = "locked"
    DEVELOPER_MODE = "developer-mode"
    NO_IMAGE = "no-image"
    TUNNEL = "tunnel"
    PROFILE = "profile"
    NOT_TRUSTED_DEVELOPER = "not-trusted-developer"
    APP = "app"
    TOO_OLD = "too-old"
    FULL = "full"
    BUSY = "busy"
    STUCK = "stuck"
    KEYSTORE = "keystore"
    REFUSED = "refused"


class IosError(DeviceError):
    """An iPhone, or the way to it, cannot take work.

    Attributes: ``trouble``, ``udid`` (empty when it is no single iPhone's), ``command`` and ``output`` (the evidence),
    and ``what``, the message without what to do about it.
    """

    def __init__(
        self, message: str, *, trouble: IosTrouble, udid: str = "", command: str = "", output: str = ""
    ) -> None:
        self.trouble, self.udid, self.command, self.output = trouble, udid, command, output
        self.what = message
        super().__init__(message, one_cell=trouble is IosTrouble.FULL)


class LeaseTrouble(StrEnum):
    """Why a farm does not lend a phone. None of it is the model's fault."""

    UNREACHABLE = "unreachable"
    TOKEN = "token"
    TAKEN = "taken"
    NO_PHONE = "no-phone"
    SILENT = "silent"
    BUSY = "busy"
    ANSWER = "answer"


class LeaseError(DeviceError):
    """A farm does not lend a phone.

    Attributes: ``trouble``, ``farm`` (where it listens) and ``serial`` (empty when it is no single phone's).
    """

    def __init__(self, message: str, *, trouble: LeaseTrouble, farm: str = "", serial: str = "") -> None:
        self.trouble, self.farm, self.serial = trouble, farm, serial
        super().__init__(message)


class CloudError(DeviceError):
    """A cloud does not take a job, or does not return its results; ``passing``: it may when it is asked again."""

    def __init__(self, message: str, *, passing: bool = False) -> None:
        self.passing = passing
        super().__init__(message)


class BuildError(PhonebenchError):
    """A model cannot be loaded, or an artifact cannot be exported from it."""

    exit_code = 4


class MissingPackageError(BuildError):
    """An optional package is not installed; ``extra`` is the extra of phonebench that brings it."""

    def __init__(self, *, package: str, extra: str, purpose: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(f"{purpose} needs the package {package!r}; run: pip install 'phonebench[{extra}]'")


class RunError(PhonebenchError):
    """A cell could not be measured on its device."""

    exit_code = 5


class SignatureError(PhonebenchError):
    """A file has no signature, or not one of the required key; or a key cannot be used."""

    exit_code = 7


class StoreError(PhonebenchError):
    """Stored results, the cache or the history cannot be read or written."""

    exit_code = 6


class IncompleteError(PhonebenchError):
    """Some cells have no measurement, and neither the model nor the runner is to blame.

    ``lost`` says why devices went away, by their keys.
    """

    exit_code = 20

    def __init__(self, message: str, *, lost: Mapping[str, str] | None = None) -> None:
        self.lost = dict(lost or {})
        super().__init__(message)


class InterruptedRunError(PhonebenchError):
    """The user stopped the run; every measurement so far is stored."""

    exit_code = 130


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type without one. Messages of compilers can fill pages.

    A line that ends with a colon says nothing without the next one, which follows it.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]


def typed_line(error: BaseException) -> str:
    """Return the type of an error and the first line of its message, such as ``ValueError: bad shape``."""
    name, line = type(error).__name__, first_line(error)
    return line if line == name else f"{name}: {line}"


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and the errors that led to it, the last one raised first."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: the nearest of ``allowed``, and all of them."""
    # Only a mistake needs it, and every command would pay for it.
    import difflib

    names = sorted(allowed)
    if not names:
        return "there are none"
    near = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=0.55)
    match = next((n for n in names if near and n.lower() == near[0]), None)
    listed = "one of " + ", ".join(names)
    return f"did you mean {match!r}? ({listed})" if match else f"use {listed}"
