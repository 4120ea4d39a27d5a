"""DeviceFarmer STF: phones over its REST interface (version 1).

A phone is borrowed with an idle limit, which is the lease that survives a crash of this program: STF takes a phone back
that sees no adb command for so long. ``remoteConnect`` then opens a port on the farm that speaks to the phone's adb.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

from harness.errors import LeaseError, LeaseTrouble, UsageError
from harness.leases.lease import Lease, OfferedPhone
from harness.leases.web import Place, Reply, ask

SCHEME = "stf"
TOKEN_VARIABLE, TOKEN_FILE_VARIABLE = "PHONEBENCH_STF_TOKEN", "PHONEBENCH_STF_TOKEN_FILE"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ROOT = "/api/v1"
# Only what is needed: an STF with hundreds of phones stores much about each.
_FIELDS = "serial,model,platform,version,present,ready,using,owner"


class Stf:
    """An STF server. ``key``: the public key of this computer's adb, which STF must know before it lets adb in."""

    def __init__(self, place: Place, *, key: str = "") -> None:
        self._place, self._key = place, key
        self._key_sent = not key

    def list(self) -> tuple[OfferedPhone, ...]:
        """Return the phones that this user may see, sorted by serial. Raises `LeaseError`."""
        reply = self._ask("GET", f"/devices?fields={_FIELDS}")
        devices = reply.body.get("devices")
        if not isinstance(devices, list):
            self._fail(reply, "does not list its phones")
        offered = [_offered(device) for device in devices if isinstance(device, dict) and device.get("serial")]
        return tuple(sorted(offered, key=lambda phone: phone.serial))

    def acquire(self, serial: str, idle_s: float) -> Lease:
        """Borrow a phone, or borrow it on if it is ours already, and open its adb port. Raises `LeaseError`."""
        self._send_key()
        if not self.holds(serial):
            reply = self._ask("POST", "/user/devices", {"serial": serial, "timeout": round(1000 * idle_s)})
            if not _succeeded(reply):
                self._fail(reply, f"does not lend phone {serial}", serial)
        try:
            return Lease(serial=serial, address=self._address(serial))
        except LeaseError:
            # A phone that adb cannot reach is of no use, and others wait for it.
            self.release(serial)
            raise

    def holds(self, serial: str) -> bool:
        """Return whether the phone is lent to us. Raises `LeaseError`."""
        reply = self._ask("GET", f"/user/devices/{quote(serial, safe='')}?fields=serial,present,ready,using,owner")
        if reply.status in (403, 404):
            return False
        if not _succeeded(reply):
            self._fail(reply, f"does not say who has phone {serial}", serial)
        return True

    def release(self, serial: str) -> None:
        """Close the adb port and give the phone back; one that is no longer ours is no error. Raises `LeaseError`."""
        path = f"/user/devices/{quote(serial, safe='')}"
        # Giving the phone back closes the port too, so it does not matter whether this succeeds.
        self._ask("DELETE", f"{path}/remoteConnect")
        reply = self._ask("DELETE", path)
        if not _succeeded(reply) and reply.status not in (403, 404):
            self._fail(reply, f"does not take phone {serial} back", serial)

    def _address(self, serial: str) -> str:
        reply = self._ask("POST", f"/user/devices/{quote(serial, safe='')}/remoteConnect")
        address = reply.body.get("remoteConnectUrl")
        if not _succeeded(reply) or not isinstance(address, str) or not address.rpartition(":")[2].isdecimal():
            self._fail(reply, f"opens no adb port for phone {serial}", serial)
        return address

    def _send_key(self) -> None:
        """Register the key of this computer's adb, once. STF answers with success for one that it knows."""
        if self._key_sent:
            return
        reply = self._ask("POST", "/user/adbPublicKeys", {"publickey": self._key, "title": "phonebench"})
        if not _succeeded(reply):
            self._fail(reply, "does not take the public key of this computer's adb")
        self._key_sent = True

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Reply:
        reply = ask(self._place, method, f"{_ROOT}{path}", body)
        if reply.status == 401:
            self._fail(reply, "refuses the token")
        return reply

    def _fail(self, reply: Reply, what: str, serial: str = "") -> NoReturn:
        trouble, why = _MEANINGS.get(reply.status, (LeaseTrouble.ANSWER, "see the log of the farm"))
        said = f" ({reply.status}{f', {reply.words}' if reply.words else ''})"
        msg = f"the farm {self._place.name} {what}{said}: {why}"
        raise LeaseError(msg, trouble=trouble, farm=self._place.name, serial=serial)


_MEANINGS: dict[int, tuple[LeaseTrouble, str]] = {
    401: (LeaseTrouble.TOKEN, f"make a new one in STF's settings (Keys), and set {TOKEN_VARIABLE}"),
    403: (LeaseTrouble.TAKEN, "somebody else uses it, or your group has no share in it; try again later"),
    404: (LeaseTrouble.NO_PHONE, "it has no such phone; phonebench devices --farm lists those that it has"),
    429: (LeaseTrouble.BUSY, "it is asked too often; try again later"),
    500: (LeaseTrouble.BUSY, "it has trouble of its own; see its log"),
    502: (LeaseTrouble.BUSY, "the proxy in front of it does not reach it; try again later"),
    503: (LeaseTrouble.BUSY, "it is too busy; try again later"),
    504: (LeaseTrouble.SILENT, "the phone does not answer the farm; look at its cable, or use another one"),
}


def open_stf(url: str, environment: Mapping[str, str]) -> Stf:
    """Return the STF server of ``stf://HOST[:PORT]``, with the token from the environment. Raises `UsageError`."""
    parts = urlsplit(url)
    if parts.username or parts.password or parts.path.strip("/") or parts.query or not parts.hostname:
        msg = f"--farm {_shown(url)!r} is not stf://HOST or stf://HOST:PORT; the token goes into {TOKEN_VARIABLE}"
        raise UsageError(msg)
    try:
        port = parts.port
    except ValueError as error:
        msg = f"--farm {_shown(url)!r} has no valid port: use a number from 1 to 65535"
        raise UsageError(msg) from error
    # Only on this computer may a token travel without TLS.
    secure = parts.hostname not in _LOOPBACK
    place = Place(host=parts.hostname, port=port or (443 if secure else 7100), secure=secure, token=_token(environment))
    return Stf(place, key=_adb_key(environment))


def _token(environment: Mapping[str, str]) -> str:
    file = environment.get(TOKEN_FILE_VARIABLE)
    token = environment.get(TOKEN_VARIABLE, "")
    if not token and file:
        try:
            token = Path(file).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            msg = f"{TOKEN_FILE_VARIABLE} is {file!r}, which cannot be read: {error}"
            raise UsageError(msg) from error
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable():
        msg = (
            "--farm stf://… needs an access token of STF (Settings, Keys): set "
            f"{TOKEN_VARIABLE}, or {TOKEN_FILE_VARIABLE} to a file with it"
        )
        raise UsageError(msg)
    return token


def _adb_key(environment: Mapping[str, str]) -> str:
    """The public key of this computer's adb, empty if it has none yet: STF's page can then confirm the connection."""
    folder = Path(environment.get("ANDROID_USER_HOME") or Path(environment.get("HOME", "~")).expanduser() / ".android")
    try:
        return (folder / "adbkey.pub").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _shown(url: str) -> str:
    """The URL without what may be a secret."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://***@{rest.rpartition('@')[2]}" if "@" in rest else url


def _succeeded(reply: Reply) -> bool:
    return 200 <= reply.status < 300 and reply.body.get("success") is not False


def _offered(device: Mapping[str, Any]) -> OfferedPhone:
    owner = device.get("owner")
    taken = ""
    if not device.get("present"):
        taken = "not connected to the farm"
    elif not device.get("ready"):
        taken = "the farm is still preparing it"
    elif owner or device.get("using"):
        name = owner.get("name") if isinstance(owner, dict) else ""
        taken = f"in use by {name or 'somebody'}"
    return OfferedPhone(
        serial=str(device["serial"]),
        model=str(device.get("model") or ""),
        system=f"{device.get('platform') or ''} {device.get('version') or ''}".strip(),
        taken=taken,
    )
