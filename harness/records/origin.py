"""Where an imported cell comes from, and figures that only other programs state."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The file of another program that a measurement was read from.

    ``kind`` names the file format, as ``phonebench import --from`` does, and ``program`` what measured. ``file`` is the
    name of the file without its folder, and ``sha256`` its digest: the file itself is kept among the run's replies.
    ``format`` and ``delegate`` are the file's own words, empty if it does not say. ``settings``: what else the file
    says about how it measured, as text. Runs are comparable only if these are equal.
    """

    kind: str
    program: str
    file: str
    sha256: str
    format: str = ""
    delegate: str = ""
    settings: dict[str, str] = field(default_factory=dict)


class StatedName(StrEnum):
    """What a stated figure is; each has its row in `harness.records.stated_metrics`."""

    LATENCY = "stated_latency"
    P90 = "stated_p90"
    THROUGHPUT = "throughput"
    PREFILL = "prefill_speed"
    DECODE = "decode_speed"
    FIRST_TOKEN = "first_token"
    ACCURACY = "stated_accuracy"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedFigure:
    """A figure that another program states and that no field of a measurement has room for.

    ``value`` is in the unit of the figure's row. ``definition`` says in words what it is, such as ``mean of the
    calls``; figures of different definitions are not comparable. ``launches``: one value per launch, if known.
    ``least``, ``most``, ``deviation`` and ``calls`` are of the calls behind a mean, in its unit, None if not stated.
    """

    name: StatedName
    value: float
    definition: str = ""
    launches: tuple[float, ...] = ()
    least: float | None = None
    most: float | None = None
    deviation: float | None = None
    calls: int | None = None
