"""One question to a farm's REST interface. What goes wrong becomes a sentence that says what to do."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import LeaseError, LeaseTrouble

# STF waits five seconds for a phone before it answers 504.
ANSWER_S = 20.0
# An answer that is longer is not one of a farm.
MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a farm listens. ``token`` goes into a header and nowhere else."""

    host: str
    port: int
    secure: bool
    token: str
    timeout_s: float = ANSWER_S

    @property
    def name(self) -> str:
        """The farm in messages."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The HTTP status and the JSON object of an answer, empty for one that has none."""

    status: int
    body: Mapping[str, Any]

    @property
    def words(self) -> str:
        """What the farm says about it, in its own words."""
        return " ".join(str(self.body.get("description") or self.body.get("message") or "").split())[:200]


def ask(place: Place, method: str, path: str, body: Mapping[str, object] | None = None) -> Reply:
    """Ask once and return the answer, whatever its status. Raises `LeaseError` if there is none that can be read."""
    headers = {"Authorization": f"Bearer {place.token}", "Accept": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        headers["Content-Type"] = "application/json"
    connection = _connection(place)
    try:
        connection.request(method, path, body=data, headers=headers)
        with connection.getresponse() as response:
            status, content = response.status, response.read(MOST_BYTES)
            # Asked for a number of bytes, http.client does not mind getting fewer.
            if response.length:
                raise http.client.IncompleteRead(content, response.length)
    except ssl.SSLCertVerificationError as error:
        msg = (
            f"the certificate of the farm {place.name} is not trusted ({error.verify_message}): set SSL_CERT_FILE to "
            "the file with its authority"
        )
        raise LeaseError(msg, trouble=LeaseTrouble.UNREACHABLE, farm=place.name) from error
    except (OSError, http.client.HTTPException) as error:
        raise LeaseError(_no_answer(place, error), trouble=LeaseTrouble.UNREACHABLE, farm=place.name) from error
    finally:
        connection.close()
    return Reply(status=status, body=_object(place, status, content))


def _connection(place: Place) -> http.client.HTTPConnection:
    if not place.secure:
        return http.client.HTTPConnection(place.host, place.port, timeout=place.timeout_s)
    context = ssl.create_default_context()
    return http.client.HTTPSConnection(place.host, place.port, timeout=place.timeout_s, context=context)


def _no_answer(place: Place, error: Exception) -> str:
    match error:
        case TimeoutError():
            why = f"it did not answer within {place.timeout_s:g} s"
        case socket.gaierror():
            why = f"the name {place.host!r} is unknown"
        case ssl.SSLError():
            why = "it does not speak TLS there"
        case http.client.IncompleteRead() | http.client.RemoteDisconnected():
            why = "it closed the connection in the middle of its answer"
        case _:
            why = str(error) or type(error).__name__
    return f"the farm {place.name} cannot be reached ({why}): check its address, and whether it runs"


def _object(place: Place, status: int, content: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(content) if content.strip() else {}
    except ValueError as error:
        # A proxy in front of the farm answers with a page of its own.
        if status >= 400:
            return {}
        msg = f"the farm {place.name} answers with something other than JSON: check that its address is that of STF"
        raise LeaseError(msg, trouble=LeaseTrouble.ANSWER, farm=place.name) from error
    return value if isinstance(value, dict) else {}
