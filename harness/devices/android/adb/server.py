"""The adb server: where it listens, starting it, and the phones it lists.

A running server is used whatever its version, and never stopped, because other programs use it too. A new one is
started only if none answers.
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
from harness.errors import PhoneError, PhoneTrouble, UsageError

# Our own variables come before adb's, so that phonebench can use another server than the other tools.
PORT_VARIABLES = ("PHONEBENCH_ADB_PORT", "ANDROID_ADB_SERVER_PORT")
HOST_VARIABLES = ("PHONEBENCH_ADB_HOST", "ANDROID_ADB_SERVER_ADDRESS")
START_VARIABLE = "PHONEBENCH_ADB_START"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
ASK_S = 5.0
START_S = 20.0

READY = "device"
# The name in ``android:all``, which stands for every phone; no phone has such a short serial.
ALL = "all"
_STATES = r"device|offline|unauthorized|authorizing|connecting|bootloader|recovery|sideload|rescue|host|no permissions"
# A serial that was found by mDNS may contain spaces. Pairs such as model:Pixel_8 follow the state.
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
    """A phone in the server's list."""

    serial: str
    state: str
    model: str = ""

    @property
    def trouble(self) -> PhoneTrouble | None:
        """What keeps it from taking commands; None if nothing does, as far as the server knows."""
        return None if self.state == READY else _TROUBLES.get(self.state, PhoneTrouble.WRONG_MODE)


def server_of(environment: Mapping[str, str] = os.environ) -> Server:
    """Return the address of the adb server, from the environment. Raises `UsageError` for an invalid port."""
    name = next((name for name in PORT_VARIABLES if environment.get(name)), None)
    host = next((environment[name] for name in HOST_VARIABLES if environment.get(name)), "127.0.0.1")
    text = environment[name] if name else "5037"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        msg = f"{name} is {text!r}: set it to a port from 1 to 65535, or unset it"
        raise UsageError(msg)
    return Server(host=host, port=int(text))


def ensure_server(server: Server, environment: Mapping[str, str] = os.environ) -> int:
    """Return the version of the adb server, after starting one if none answers and that is allowed.

    One is started only on this computer, and not if ``PHONEBENCH_ADB_START`` is ``never``. Raises `PhoneError`.
    """
    try:
        return server_version(server)
    except PhoneError as error:
        may_start = server.host in _LOOPBACK and environment.get(START_VARIABLE) != "never"
        # If something else answers on this port, starting a server there cannot help.
        if not may_start or not isinstance(error.__cause__, ConnectionRefusedError):
            raise
    _start(server, environment)
    return server_version(server)


def server_version(server: Server) -> int:
    """Return the version of the server's protocol, a number such as 41. Raises `PhoneError`."""
    text = _ask(server, "host:version")
    try:
        return int(text, 16)
    except ValueError as error:
        what = f"the adb server reports the version {text!r}, which is not a number"
        raise phone_error(PhoneTrouble.NO_SERVER, what) from error


def list_phones(server: Server) -> tuple[ListedPhone, ...]:
    """Return the phones that the server lists, in its order. Raises `PhoneError`."""
    return parse_phones(_ask(server, "host:devices-l"))


def parse_phones(text: str) -> tuple[ListedPhone, ...]:
    """Return the phones in the answer to ``host:devices-l``; lines that cannot be parsed are skipped."""
    lines = (_LINE.match(line) for line in text.splitlines())
    return tuple(
        ListedPhone(
            serial=match["serial"],
            state=match["state"],
            model=next(iter(re.findall(r"\bmodel:(\S+)", match["rest"])), "").replace("_", " "),
        )
        for match in lines
        if match is not None
    )


def choose_phone(phones: tuple[ListedPhone, ...], serial: str) -> ListedPhone:
    """Return the phone with ``serial``, or the only phone if it is empty. Raises `PhoneError` if it cannot be used."""
    if not phones:
        raise phone_error(PhoneTrouble.NO_PHONE, "no phone is connected")
    if not serial and len(phones) > 1:
        names = ", ".join(phone.serial for phone in phones)
        raise phone_error(PhoneTrouble.SEVERAL, f"{len(phones)} phones are connected ({names}) and none was named")
    chosen = next((phone for phone in phones if phone.serial == serial or not serial), None)
    if chosen is None:
        names = ", ".join(phone.serial for phone in phones)
        what = f"{named(serial)} is not connected (connected: {names})"
        raise phone_error(PhoneTrouble.GONE, what, serial=serial)
    if chosen.trouble is not None:
        raise phone_error(chosen.trouble, f"{named(chosen.serial)} is {chosen.state}", serial=chosen.serial)
    return chosen


def phone_key(serial: str) -> str:
    """Return the device key of a phone."""
    return f"android:{serial}"


def reconnect(server: Server, serial: str) -> None:
    """Make the server reconnect to a phone, which revives some that hang. Raises `PhoneError`."""
    with Link(server, within(ASK_S), serial=serial, purpose="reconnect") as link:
        link.request(f"host-serial:{serial}:reconnect")


def _ask(server: Server, service: str) -> str:
    with Link(server, within(ASK_S), purpose=service) as link:
        link.request(service)
        return link.text()


def _start(server: Server, environment: Mapping[str, str]) -> None:
    """Start a server with the adb of package adbutils. Raises `PhoneError`."""
    try:
        import adbutils

        binary = environment.get("ADBUTILS_ADB_PATH") or adbutils.adb_path()
    except (ImportError, RuntimeError, OSError) as error:
        raise phone_error(PhoneTrouble.NO_ADB, "there is no adb on this computer", output=str(error)) from error
    command = [binary, "-P", str(server.port), "start-server"]
    # Output goes to a file: the server keeps running and would hold a pipe open, so reading it would never end.
    with tempfile.TemporaryFile() as output:
        try:
            code = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(environment), timeout=START_S
            ).returncode
        except (OSError, subprocess.TimeoutExpired) as error:
            raise phone_error(PhoneTrouble.NO_ADB, f"cannot run {binary!r}", output=str(error)) from error
        if code:
            output.seek(0)
            printed = output.read().decode("utf-8", errors="replace")
            what = f"{binary!r} could not start a server on port {server.port}"
            raise phone_error(PhoneTrouble.NO_SERVER, what, command=" ".join(command), output=printed)
