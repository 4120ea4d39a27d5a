"""Finds the devices that a wish describes among those that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.errors import DeviceError, suggestion
from harness.records.device import DeviceInfo
from harness.spec.wish import Condition, Sign, Wish, number_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A device that is there. ``load`` orders equal candidates: those with the least work first."""

    info: DeviceInfo
    load: float = 0.0


def choose(wish: Wish, candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Return the keys of the devices for ``wish``, the least loaded first.

    Several units are all of one model. Raises `DeviceError` that says what there is instead, if there are too few.
    """
    of_kind = [one for one in candidates if one.info.kind == wish.kind]
    fitting = [one for one in of_kind if all(_meets(one.info, condition) for condition in wish.conditions)]
    fitting.sort(key=lambda one: one.load)
    if not fitting:
        msg = f"no device fits {wish.text!r}; {_what_there_is(wish, of_kind)}"
        raise DeviceError(msg)
    if wish.count is None or wish.count == 1:
        return tuple(one.info.key for one in fitting[: wish.count])
    models: dict[str, list[str]] = {}
    for one in fitting:
        models.setdefault(one.info.model, []).append(one.info.key)
    for keys in models.values():
        if len(keys) >= wish.count:
            return tuple(keys[: wish.count])
    most = max(models, key=lambda model: len(models[model]))
    msg = (
        f"device {wish.text!r} asks for {wish.count} units of one model, and the most are {len(models[most])} of "
        f"{most!r}: ask for fewer, or for all"
    )
    raise DeviceError(msg)


def facts_of(info: DeviceInfo) -> Mapping[str, str]:
    """Return what conditions can ask for, by name; ``ram`` is in GiB, rounded as phones are sold."""
    facts = {
        **{name.lower(): value for name, value in info.details.items()},
        "model": info.model,
        "os": info.os,
        "soc": info.cpu,
        "cpu": info.cpu,
        "abi": info.abi,
        "key": info.key,
    }
    if info.cores is not None:
        facts["cores"] = str(info.cores)
    if info.memory_bytes is not None:
        # The system keeps a part for itself: a phone sold with 8 GB reports about 7.4 GiB.
        facts["ram"] = str(round(info.memory_bytes / 2**30))
    return facts


def _meets(info: DeviceInfo, condition: Condition) -> bool:
    value = facts_of(info).get(condition.name)
    if value is None:
        return False
    wanted, given = number_of(condition.value), number_of(value)
    match condition.sign:
        case Sign.EQUAL:
            return condition.value.lower() in value.lower()
        case Sign.UNEQUAL:
            return condition.value.lower() not in value.lower()
        case Sign.LEAST:
            return wanted is not None and given is not None and given >= wanted
        case Sign.MOST:
            return wanted is not None and given is not None and given <= wanted
        case Sign.MORE:
            return wanted is not None and given is not None and given > wanted
        case Sign.LESS:
            return wanted is not None and given is not None and given < wanted


def _what_there_is(wish: Wish, of_kind: Sequence[Candidate]) -> str:
    if not of_kind:
        return f"no device of kind {wish.kind!r} is there now"
    names = {name for one in of_kind for name in facts_of(one.info)}
    unknown = next((condition.name for condition in wish.conditions if condition.name not in names), None)
    if unknown is not None:
        return f"none of them has a fact {unknown!r}; {suggestion(unknown, names)}"
    there = ", ".join(_in_words(one.info) for one in of_kind[:5])
    more = f" and {len(of_kind) - 5} more" if len(of_kind) > 5 else ""
    return f"there are {there}{more}"


def _in_words(info: DeviceInfo) -> str:
    ram = facts_of(info).get("ram")
    return f"{info.key} ({info.model}, {info.cpu}{f', {ram} GiB' if ram else ''})"
