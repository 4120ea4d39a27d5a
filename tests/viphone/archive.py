"""NSKeyedArchiver: objects as a binary property list that refers to them by number."""

from __future__ import annotations

import plistlib
from dataclasses import dataclass, field
from typing import Any

COCOA_EPOCH_S = 978307200.0
NULL = plistlib.UID(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NSError:
    """An error of Cocoa."""

    domain: str
    code: int
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NSDate:
    """A time, as seconds since 1970."""

    at_s: float


def archive(value: Any) -> bytes:
    """Encode an object; raises `TypeError` for one of an unknown kind."""
    objects: list[Any] = ["$null"]
    top = {"root": _Writer(objects).add(value)}
    said = {"$version": 100000, "$archiver": "NSKeyedArchiver", "$top": top, "$objects": objects}
    return plistlib.dumps(said, fmt=plistlib.FMT_BINARY)


def unarchive(data: bytes) -> Any:
    """Decode an object; one of an unknown class becomes a dict of its fields. Raises `ValueError` if it is broken."""
    try:
        said = plistlib.loads(data, fmt=plistlib.FMT_BINARY)
        return _read(said["$objects"], said["$top"]["root"])
    except (plistlib.InvalidFileException, KeyError, IndexError, TypeError) as error:
        msg = f"not an archive: {data[:30]!r}"
        raise ValueError(msg) from error


class _Writer:
    def __init__(self, objects: list[Any]) -> None:
        self._objects, self._classes = objects, dict[str, plistlib.UID]()

    def add(self, value: Any) -> plistlib.UID:
        """Add an object with all that it refers to, and return its number."""
        match value:
            case None:
                return NULL
            case bool() | int() | float() | str() | bytes():
                return self._append(value)
            case dict():
                keys = {"NS.keys": list(value), "NS.objects": list(value.values())}
                return self._object(("NSDictionary", "NSObject"), keys)
            case list() | tuple():
                return self._object(("NSArray", "NSObject"), {"NS.objects": list(value)})
            case NSDate():
                number = self._object(("NSDate", "NSObject"), {})
                self._objects[number.data]["NS.time"] = value.at_s - COCOA_EPOCH_S
                return number
            case NSError():
                number = self._object(("NSError", "NSObject"), {})
                places = {"NSDomain": value.domain, "NSUserInfo": value.info or None}
                self._objects[number.data] |= {key: self.add(one) for key, one in places.items()}
                self._objects[number.data]["NSCode"] = value.code
                return number
        msg = f"an archive cannot hold {value!r}"
        raise TypeError(msg)

    def _object(self, classes: tuple[str, ...], lists: dict[str, list[Any]]) -> plistlib.UID:
        number = self._append({})
        said = {key: [self.add(one) for one in values] for key, values in lists.items()}
        self._objects[number.data] = said | {"$class": self._class(classes)}
        return number

    def _class(self, names: tuple[str, ...]) -> plistlib.UID:
        if names[0] not in self._classes:
            self._classes[names[0]] = self._append({"$classname": names[0], "$classes": list(names)})
        return self._classes[names[0]]

    def _append(self, value: Any) -> plistlib.UID:
        self._objects.append(value)
        return plistlib.UID(len(self._objects) - 1)


def _read(objects: list[Any], at: Any) -> Any:
    """Read the object of that number, or a value that stands in its place."""
    value = objects[at.data] if isinstance(at, plistlib.UID) else at
    if value == "$null" and at == NULL:
        return None
    if not isinstance(value, dict) or "$class" not in value:
        return value
    name = objects[value["$class"].data]["$classname"]
    match name:
        case "NSDictionary" | "NSMutableDictionary":
            pairs = zip(value["NS.keys"], value["NS.objects"], strict=True)
            return {_read(objects, key): _read(objects, one) for key, one in pairs}
        case "NSArray" | "NSMutableArray" | "NSSet" | "NSMutableSet":
            return [_read(objects, one) for one in value["NS.objects"]]
        case "NSString" | "NSMutableString":
            return _read(objects, value["NS.string"])
        case "NSData" | "NSMutableData":
            return _read(objects, value["NS.data"])
        case "NSDate":
            return NSDate(at_s=value["NS.time"] + COCOA_EPOCH_S)
        case "NSNull":
            return None
        case "NSError":
            info = _read(objects, value["NSUserInfo"]) or {}
            return NSError(domain=_read(objects, value["NSDomain"]), code=value["NSCode"], info=info)
    return {key: _read(objects, one) for key, one in value.items() if key != "$class"}
