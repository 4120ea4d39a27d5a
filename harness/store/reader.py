"""Finds and reads stored runs and the replies kept with them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.errors import StoreError, UsageError
from harness.readers.graph import SCHEMA as GRAPH_SCHEMA
from harness.readers.graph import Graph
from harness.records.measurement import SCHEMA as MEASUREMENT_SCHEMA
from harness.records.measurement import Measurement
from harness.store.records import (
    CLOUD_FILE,
    GRAPHS_FOLDER,
    LATEST,
    MEASUREMENTS_FILE,
    MOST_HEAD_BYTES,
    MOST_MEASUREMENTS_BYTES,
    REPLIES_FOLDER,
    RUN_FILE,
    SCHEMA,
    RunHead,
    RunRecord,
)
from harness.system.decoding import decode_json
from harness.system.packed import unpacked
from harness.system.small_files import read_small
from harness.wire import RunReply, decode_reply

# What a stored run may unpack to: a few kilobytes of gzip can hold gigabytes. The outputs of a model are the largest.
MOST_KEPT_BYTES = 1 << 30
MOST_GRAPH_BYTES = 64 << 20


def find_run(root: Path, name: str) -> Path:
    """Return the folder of the run ``name``: an id, a unique prefix of an id, a path, or ``latest``.

    Raises `UsageError` when no run has that name, or when a prefix fits several.
    """
    if _is_run(Path(name)):
        return Path(name)
    runs = list_runs(root)
    matches = [run for run in runs if run == name] or [run for run in runs if run.startswith(name)]
    if not matches and name != LATEST and _exists(Path(name)):
        msg = (
            f"{name!r} has no {RUN_FILE}, so it is not a run: name the folder of a run, or see: phonebench show --list"
        )
        raise UsageError(msg)
    if not runs:
        msg = f"there are no runs in {str(root)!r}; make one with: phonebench run"
        raise UsageError(msg)
    if name == LATEST:
        return root / runs[-1]
    if len(matches) == 1:
        return root / matches[0]
    problem = f"fits {len(matches)} runs ({', '.join(matches[:4])})" if matches else f"is not a run in {str(root)!r}"
    msg = f"{name!r} {problem}; the newest is {runs[-1]!r}, see: phonebench show --list"
    raise UsageError(msg)


def ticket_of(folder: Path) -> str | None:
    """Return the ticket under which a run was sent to a cloud that has yet to make its launches; None for any other."""
    try:
        sent = msgspec.json.decode(read_small(folder / CLOUD_FILE, MOST_HEAD_BYTES))
    except (OSError, msgspec.MsgspecError):
        return None
    return str(sent.get("ticket") or "") if isinstance(sent, dict) else None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _is_run(folder: Path) -> bool:
    try:
        return (folder / RUN_FILE).is_file()
    except (OSError, ValueError):
        # A name that no file can have, such as one that is too long, is an id or a mistake.
        return False


def list_runs(root: Path) -> tuple[str, ...]:
    """Return the ids of the runs in ``root``, oldest first."""
    try:
        if not root.is_dir():
            return ()
        return tuple(sorted(folder.name for folder in root.iterdir() if (folder / RUN_FILE).is_file()))
    except OSError as error:
        msg = f"cannot read the results folder {str(root)!r} ({error.strerror}): check the path"
        raise StoreError(msg) from error


def load_run(root: Path, name: str) -> RunRecord:
    """Read a run. Raises `UsageError` when there is none, `StoreError` when it is damaged or has another version."""
    return read_folder(find_run(root, name))


def read_reply(run: RunRecord, sha256: str) -> RunReply:
    """Read a stored reply by its digest. Raises `StoreError` when it is missing or damaged."""
    data = read_kept(run, f"{sha256}.json")
    try:
        return decode_reply(data)
    except ValueError as error:
        msg = f"the stored reply {sha256!r} of run {run.head.id!r} cannot be read: {error}"
        raise StoreError(msg) from error


def read_kept(run: RunRecord, name: str) -> bytes:
    """Read what `RunWriter.keep` stored, by its digest and suffix. Raises `StoreError` if it is missing or damaged."""
    # Only the report reads replies and pictures; `phonebench show` does without these two.
    import hashlib

    path = run.directory / REPLIES_FOLDER / f"{name}.gz"
    try:
        data = unpacked(read_small(path, MOST_KEPT_BYTES), MOST_KEPT_BYTES)
    except (OSError, ValueError) as error:
        msg = f"the stored file {str(path)!r} cannot be read: {error}"
        raise StoreError(msg) from error
    if hashlib.sha256(data).hexdigest() != name.partition(".")[0]:
        msg = f"the stored file {str(path)!r} has changed: its content does not match its digest"
        raise StoreError(msg)
    return data


def read_graph(run: RunRecord, sha256: str) -> Graph | None:
    """Read the network of the file with this digest; None if the run has none, or a damaged one.

    Runs of earlier versions have no graphs, and a graph only illustrates the figures.
    """
    path = run.directory / GRAPHS_FOLDER / f"{sha256}.json.gz"
    try:
        graph = decode_json(unpacked(read_small(path, MOST_GRAPH_BYTES), MOST_GRAPH_BYTES), Graph)
    except (OSError, ValueError, RecursionError):
        return None
    return graph if graph.schema == GRAPH_SCHEMA and _is_ordered(graph) else None


def _is_ordered(graph: Graph) -> bool:
    """Whether every node reads only from nodes before it, as all that draws a graph relies on."""
    return all(0 <= before < at for at, node in enumerate(graph.nodes) for before in node.after)


def read_folder(folder: Path) -> RunRecord:
    """Read the run in ``folder``. Raises as `load_run` does."""
    measurements, damaged = _read_measurements(folder / MEASUREMENTS_FILE)
    return RunRecord(head=read_head(folder), directory=folder, measurements=measurements, damaged_lines=damaged)


def read_head(folder: Path) -> RunHead:
    """Read the ``run.json`` in ``folder``. Raises `StoreError` when it is damaged or has another version."""
    path = folder / RUN_FILE
    try:
        data = read_small(path, MOST_HEAD_BYTES)
        check_schema(data, SCHEMA, str(path))
        return decode_json(data, RunHead)
    # ValueError: invalid JSON or UTF-8. UsageError: the spec holds names that this version does not know.
    except (OSError, ValueError, UsageError, RecursionError) as error:
        msg = f"{str(path)!r} cannot be read: {error}; the run's replies and measurements beside it are untouched"
        raise StoreError(msg) from error


def _read_measurements(path: Path) -> tuple[tuple[Measurement, ...], int]:
    """Return the measurements in order and the number of unreadable lines. The last measurement of a cell counts."""
    if not path.exists():
        return (), 0
    by_cell: dict[str, Measurement] = {}
    damaged = 0
    try:
        lines = read_small(path, MOST_MEASUREMENTS_BYTES).split(b"\n")
    except OSError as error:
        msg = f"{str(path)!r} cannot be read: {error}"
        raise StoreError(msg) from error
    # After the last line end there is nothing, or a line that a kill cut off.
    for line in lines[:-1]:
        try:
            check_schema(line, MEASUREMENT_SCHEMA, str(path))
            measurement = decode_json(line, Measurement)
        except (ValueError, RecursionError) as error:
            _warn(path, error)
            damaged += 1
            continue
        by_cell[measurement.cell] = measurement
    return tuple(by_cell.values()), damaged


def _warn(path: Path, error: Exception) -> None:
    # Hardly ever needed, and every `phonebench show` would pay for it.
    import logging

    message = "a line of %s cannot be read (%s); its cell counts as not run"
    logging.getLogger(__name__).warning(message, path, error)


class _Versioned(msgspec.Struct):
    schema: int


def check_schema(data: bytes, expected: int, where: str) -> None:
    """Raise `StoreError` unless the JSON ``data`` has the ``expected`` schema, `msgspec.DecodeError` if it has none."""
    schema = decode_json(data, _Versioned).schema
    if schema != expected:
        msg = (
            f"{where!r} has schema {schema}, but this phonebench reads schema {expected}; "
            "use the version of phonebench that wrote it"
        )
        raise StoreError(msg)
