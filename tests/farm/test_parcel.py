"""A parcel carries everything that a cell left, and nothing else passes for one."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.devices.device import Device
from harness.errors import StoreError
from harness.farm.parcel import ParcelWriter, read_head, unpack, unpack_pairs
from harness.farm.work import pack, pack_pairs, unpack_job
from harness.measure.cell import conclude, launch_cell, measure
from harness.measure.gate import Gate
from harness.measure.job import Job
from harness.measure.pairs import PairPlan, launch_pairs
from harness.records.measurement import Measurement
from harness.spec.phone_settings import DEFAULT_SETTINGS
from harness.system.files import file_sha256
from tests.measure.cells import FLOAT, Kept, Scripted, bad, job, ok, outputs_file


def clock() -> str:
    return "2026-11-30T00:00:00Z"


def sent(work: Job, device: Device, folder: Path, kept: Kept) -> Measurement:
    """Measure as a farm does: launches there, a parcel, and the measurement here."""
    packed = pack("night", work, DEFAULT_SETTINGS)
    there = unpack_job(packed.work, lambda sha256: packed.sources[sha256], folder / "there")
    writer = ParcelWriter(folder / "spool")
    parcel = writer.finish("night", work.cell.key, launch_cell(there, device, writer, clock, Gate(device)))
    return conclude(work, unpack(parcel, kept), kept)


def here(work: Job, device: Device, kept: Kept) -> Measurement:
    return measure(work, device, kept, clock)


def test_a_cell_with_outputs_is_judged_as_if_it_had_run_here(tmp_path: Path) -> None:
    path, ref = outputs_file(tmp_path, FLOAT + np.float32(0.01))
    work, plain, farmed = job(tmp_path), Kept(), Kept()
    there = sent(work, Scripted(ok(outputs=ref), outputs=path), tmp_path, farmed)
    assert there == here(work, Scripted(ok(outputs=ref), outputs=path), plain)
    assert there.accuracy is not None
    assert there.fidelity is not None
    assert farmed.data == plain.data


def test_large_outputs_travel_although_no_store_keeps_them(tmp_path: Path) -> None:
    path, ref = outputs_file(tmp_path, FLOAT)
    work, kept = job(tmp_path), Kept()
    packed = pack("night", work, DEFAULT_SETTINGS)
    there = unpack_job(packed.work, lambda sha256: packed.sources[sha256], tmp_path / "there")
    device, writer = Scripted(ok(outputs=ref), outputs=path), ParcelWriter(tmp_path / "spool")
    ran = launch_cell(there, device, writer, clock, Gate(device))
    # As for outputs above the limit of the store, whose digest is None.
    large = replace(ran, seen=replace(ran.seen, outputs_sha256=None))
    back = unpack(writer.finish("night", work.cell.key, large), kept)
    assert back.seen.outputs is not None
    np.testing.assert_array_equal(back.seen.outputs[0].reshape(FLOAT.shape), FLOAT)


def test_both_sides_of_a_session_travel_with_their_pairs(tmp_path: Path) -> None:
    path, ref = outputs_file(tmp_path, FLOAT)
    work, kept = job(tmp_path), Kept()
    sides = work, replace(work, cell=replace(work.cell, key="b"))
    plan = PairPlan(pairs=7, most_pairs=7)
    packed = pack_pairs("session", sides, plan, pack("night", work, DEFAULT_SETTINGS), file_sha256)
    assert packed.work.cell == "session"
    assert packed.work.rival is not None
    first = unpack_job(packed.work, packed.sources.__getitem__, tmp_path / "a")
    second = unpack_job(packed.work.rival, packed.sources.__getitem__, tmp_path / "b")
    device, writer = Scripted(ok(outputs=ref), outputs=path), ParcelWriter(tmp_path / "spool")
    ran = launch_pairs((first, second), Gate(device), writer, clock, packed.work.rival.plan)
    parcel = writer.finish("night", "session", ran)
    back = unpack_pairs(parcel, kept)
    assert len(back.pairs) >= 7
    assert back.pairs == ran.pairs
    assert (back.a.launched, back.b.launched) == (ran.a.launched, ran.b.launched)
    for side in (back.a, back.b):
        assert side.outputs is not None
        np.testing.assert_array_equal(side.outputs[0].reshape(FLOAT.shape), FLOAT)
    # Every reply is in the store, and a cell is not taken for a session.
    assert {f"{one.sha256}.json" for one in (*ran.a.launched, *ran.b.launched)} <= set(kept.data)
    plain = ParcelWriter(tmp_path / "spool")
    cell = plain.finish("night", "a", launch_cell(first, device, plain, clock, Gate(device)))
    with pytest.raises(StoreError, match="holds no session of pairs"):
        unpack_pairs(cell, kept)


def test_a_failure_travels_with_its_reason(tmp_path: Path) -> None:
    work = job(tmp_path)
    there = sent(work, Scripted(bad()), tmp_path, Kept())
    assert there == here(work, Scripted(bad()), Kept())
    assert there.failure is not None


@pytest.mark.parametrize("cut", [0, 4, -1, -20], ids=["empty", "start", "last byte", "record"])
def test_half_a_parcel_is_refused(tmp_path: Path, cut: int) -> None:
    writer = ParcelWriter(tmp_path)
    device = Scripted(ok())
    path = writer.finish("night", "a", launch_cell(job(tmp_path), device, writer, clock, Gate(device)))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(StoreError, match="cannot be read"):
        read_head(path)


def test_a_parcel_whose_content_changed_is_refused(tmp_path: Path) -> None:
    writer = ParcelWriter(tmp_path)
    device = Scripted(ok())
    path = writer.finish("night", "a", launch_cell(job(tmp_path), device, writer, clock, Gate(device)))
    data = bytearray(path.read_bytes())
    data[10] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(StoreError, match="does not match its digest"):
        unpack(path, Kept())


def test_work_takes_neither_labels_nor_paths_of_its_owner(tmp_path: Path) -> None:
    work = pack("night", job(tmp_path), DEFAULT_SETTINGS).work
    assert str(tmp_path).encode() not in pickle.dumps(work)
