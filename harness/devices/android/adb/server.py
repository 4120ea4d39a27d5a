"""The adb server: where it is, that it runs, and which phones it knows.

A server that runs is used as it is, whatever its version; one is started only where none answers, and none is ever
ended: other programs use it too.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from harness.devices.android.adb.deadline import within
from harness.devices.android.adb.link import Link, Server
from harness.devices.android.advice import named, phone_error
from harness.devices.kind import name_in
from harness.errors import PhoneError, PhoneTrouble, UsageError

# Our own name comes before adb's usual one, for a server of phonebench's own beside that of other tools.
PORT_VARIABLES = ("PHONEBENCH_ADB_PORT", "ANDROID_ADB_SERVER_PORT")
HOST_VARIABLES = ("PHONEBENCH_ADB_HOST", "ANDROID_ADB_SERVER_ADDRESS")
START_VARIABLE = "PHONEBENCH_ADB_START"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
ASK_S = 5.0
START_S = 20.0

READY = "device"
# The name in ``android:all``, which stands for every phone; no serial of a phone is so short a word.
ALL = "all"
_STATES = r"device|offline|unauthorized|authorizing|connecting|bootloader|recovery|sideload|rescue|host|no permissions"
# A serial may hold blanks when it came by mDNS; after the state come pairs like model:Pixel_8.
_LINE = re.compile(rf"^(?P<serial>\S.*?)\s+(?P<state>{_STATES})(?=\s|$|;|\()(?P<rest>.*)$")

_TROUBLES: dict[str, PhoneTrouble] = {
    "offline": PhoneTrouble.OFFLINE,
    "connecting": PhoneTrouble.OFFLINE,
    "unauthorized": PhoneTrouble.UNAUTHORISED,
    "authorizing": PhoneTrouble.UNAUTHORISED,
    "no permissions": PhoneTrouble.NO_RIGHTS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPhone:
    """A phone in the server's list; ``trouble`` is None when it takes commands, as far as the server knows."""

    serial: str
    state: str
    model: str = ""

    @property
    def trouble(self) -> PhoneTrouble | None:
        """What keeps it from working, by its state."""
        return None if self.state == READY else _TROUBLES.get(self.state, PhoneTrouble.WRONG_MODE)


def server_of(environment: Mapping[str, str] = os.environ) -> Server:
    """Return where the adb server is by the environment. Raises `UsageError` for a port that is none."""
    name = next((name for name in PORT_VARIABLES if environment.get(name)), None)
    host = next((environment[name] for name in HOST_VARIABLES if environment.get(name)), "127.0.0.1")
    text = environment[name] if name else "5037"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        msg = f"{name} is {text!r}: it must be a port from 1 to 65535, or not be set"
        raise UsageError(msg)
    return Server(host=host, port=int(text))


def ensure_server(server: Server, environment: Mapping[str, str] = os.environ) -> int:
    """Return the version of the adb server, started when none answers and it may be. Raises `PhoneError`."""
    try:
        return server_version(server)
    except PhoneError as error:
        may_start = server.host in _LOOPBACK and environment.get(START_VARIABLE) != "never"
        # Something that answers and is no adb server must not get a second one beside it.
        if not may_start or not isinstance(error.__cause__, ConnectionRefusedError):
            raise
    _start(server, environment)
    return server_version(server)


def server_version(server: Server) -> int:
    """Return the version of the server's protocol. Raises `PhoneError`."""
    text = _ask(server, "host:version")
    try:
        return int(text, 16)
    except ValueError as error:
        what = f"the adb server says its version is {text!r}"
        raise phone_error(PhoneTrouble.NO_SERVER, what) from error


def list_phones(server: Server) -> tuple[ListedPhone, ...]:
    """Return the phones that the server lists, in its order. Raises `PhoneError`."""
    return parse_phones(_ask(server, "host:devices-l"))


def parse_phones(text: str) -> tuple[ListedPhone, ...]:
    """Return the phones in the answer to ``host:devices-l``; a line that cannot be read is left out."""
    found = (_LINE.match(line) for line in text.splitlines())
    return tuple(
        ListedPhone(
            serial=match["serial"],
            state=match["state"],
            model=next(iter(re.findall(r"\bmodel:(\S+)", match["rest"])), "").replace("_", " "),
        )
        for match in found
        if match is not None
    )


def choose_phone(phones: tuple[ListedPhone, ...], serial: str) -> ListedPhone:
    """Return the phone of ``serial``, or the only one when it is empty. Raises `PhoneError` with the one next step."""
    if not phones:
        raise phone_error(PhoneTrouble.NO_PHONE, "no phone is connected")
    if not serial and len(phones) > 1:
        names = ", ".join(phone.serial for phone in phones)
        raise phone_error(PhoneTrouble.SEVERAL, f"{len(phones)} phones are connected ({names}) and none is named")
    chosen = next((phone for phone in phones if phone.serial == serial or not serial), None)
    if chosen is None:
        names = ", ".join(phone.serial for phone in phones)
        what = f"{named(serial)} is not connected (there is: {names})"
        raise phone_error(PhoneTrouble.GONE, what, serial=serial)
    if chosen.trouble is not None:
        raise phone_error(chosen.trouble, f"{named(chosen.serial)} is {chosen.state}", serial=chosen.serial)
    return chosen


def expand_key(key: str, server: Server | None = None) -> tuple[str, ...]:
    """Return ``android:SERIAL`` for the only phone of ``android``, and for each of ``android:all``; else the key.

    A run is stored under the phones that it was made on, so that going on with it never means another one. Of all
    phones those that cannot be used now are left out. Raises `PhoneError` when there is none to use.
    """
    name = name_in(key)
    if name not in (None, ALL):
        return (key,)
    where = server or server_of()
    ensure_server(where)
    phones = list_phones(where)
    if name == ALL:
        ready = tuple(phone for phone in phones if phone.trouble is None)
        phones = ready or (choose_phone(phones[:1], ""),)
    else:
        phones = (choose_phone(phones, ""),)
    return tuple(phone_key(phone.serial) for phone in phones)


def phone_key(serial: str) -> str:
    """Return the device key of a phone, which `name_in` takes apart again."""
    return f"android:{serial}"


def reconnect(server: Server, serial: str) -> None:
    """Ask the server to open its connection to a phone anew, which cures some that hang. Raises `PhoneError`."""
    with Link(server, within(ASK_S), serial=serial, purpose="reconnect") as link:
        link.request(f"host-serial:{serial}:reconnect")


def _ask(server: Server, service: str) -> str:
    with Link(server, within(ASK_S), purpose=service) as link:
        link.request(service)
        return link.text()


def _start(server: Server, environment: Mapping[str, str]) -> None:
    """Start a server by the adb that is there. Raises `PhoneError`."""
    try:
        import adbutils

        binary = environment.get("ADBUTILS_ADB_PATH") or adbutils.adb_path()
    except (ImportError, RuntimeError, OSError) as error:
        raise phone_error(PhoneTrouble.NO_ADB, "there is no adb on this computer", output=str(error)) from error
    command = [binary, "-P", str(server.port), "start-server"]
    # A file and no pipe: the server that stays would hold a pipe open, and reading it would not end.
    with tempfile.TemporaryFile() as output:
        try:
            code = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(environment), timeout=START_S
            ).returncode
        except (OSError, subprocess.TimeoutExpired) as error:
            raise phone_error(PhoneTrouble.NO_ADB, f"cannot run {binary!r}", output=str(error)) from error
        if code:
            output.seek(0)
            said = output.read().decode("utf-8", errors="replace")
            what = f"{binary!r} could not start a server on port {server.port}"
            raise phone_error(PhoneTrouble.NO_SERVER, what, command=" ".join(command), output=said)
