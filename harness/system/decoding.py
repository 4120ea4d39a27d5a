"""Decoders of JSON that several threads may ask for at the same moment.

msgspec works out the fields of a record when it first meets it, which takes up to 20 ms for a large one. A second
thread that decodes the same record meanwhile finds it half worked out, and the process crashes (msgspec 0.22). So
whatever runs in several threads gets its decoders here, where one thread works them out.
"""

from __future__ import annotations

import json
import threading
from typing import Any, TypeVar, cast

import msgspec

_Record = TypeVar("_Record")
_one_at_a_time = threading.RLock()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decode_json(data: bytes, kind: type[_Record]) -> _Record:
    """Return the record of type ``kind`` in ``data``. Raises `msgspec.ValidationError`, `msgspec.DecodeError`."""
    decoder = _decoders.get(kind)
    if decoder is None:
        with _one_at_a_time:
            decoder = _decoders.get(kind) or msgspec.json.Decoder(kind)
            _decoders[kind] = decoder
    return cast("_Record", decoder.decode(data))


def plain_json(text: str) -> Any:
    """Return the plain values of JSON that somebody else wrote. Raises `ValueError`, also if they nest too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        msg = "its values are nested too deeply"
        raise ValueError(msg) from error
