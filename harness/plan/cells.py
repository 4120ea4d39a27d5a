"""Cells, builds and holes: the records that make up a plan."""

from __future__ import annotations

from dataclasses import dataclass

from harness.spec.formats import FORMATS, Backend
from harness.spec.profiles import ProfileName
from harness.wire import Delegate, Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One artifact to build. ``backend`` is set for formats that are lowered to a backend (``pte``)."""

    model: str
    variant: str
    format: Format
    backend: Backend | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How many tokens a cell of a language model feeds in, and how many it lets the model generate."""

    prompt_tokens: int
    new_tokens: int

    @property
    def total(self) -> int:
        """The tokens that the model has to hold at the end."""
        return self.prompt_tokens + self.new_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The unit of work, of resuming and of comparison. `make_cell` makes ``key``, and nothing ever parses it.

    ``threads`` is None only in imported results, whose file may not say. ``lengths``: set for language models only.
    """

    key: str
    model: str
    variant: str
    format: Format
    backend: Backend | None
    delegate: Delegate
    threads: int | None
    device: str
    profile: ProfileName
    lengths: Lengths | None = None

    @property
    def build(self) -> Build:
        """The artifact that this cell runs."""
        return Build(model=self.model, variant=self.variant, format=self.format, backend=self.backend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """A cell that cannot be run, and why."""

    cell: Cell
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All cells of a run in the order in which they run, and the holes."""

    cells: tuple[Cell, ...]
    holes: tuple[Hole, ...]

    @property
    def builds(self) -> tuple[Build, ...]:
        """Each artifact that the cells need, once, in order."""
        return tuple(dict.fromkeys(cell.build for cell in self.cells))


def make_cell(
    model: str,
    variant: str,
    format_: Format,
    delegate: Delegate,
    threads: int | None,
    device: str,
    profile: ProfileName,
    lengths: Lengths | None = None,
) -> Cell:
    """Return a cell with its key. Keys are made here only, so that resuming and comparing can rely on them."""
    backend = FORMATS[format_].backends.get(delegate)
    # Resuming finds stored measurements by this key, so its parts and their order must never change.
    parts = (
        model,
        variant,
        format_.value,
        delegate.value,
        "t?" if threads is None else f"t{threads}",
        device.replace(":", "-"),
        profile.value,
        *((f"p{lengths.prompt_tokens}", f"n{lengths.new_tokens}") if lengths is not None else ()),
    )
    return Cell(
        key="-".join(parts),
        model=model,
        variant=variant,
        format=format_,
        backend=backend,
        delegate=delegate,
        threads=threads,
        device=device,
        profile=profile,
        lengths=lengths,
    )
