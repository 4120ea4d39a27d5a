"""Files on the phone: each once, under its digest, complete or absent, and never more than fit."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from harness.devices.android.adb.cable import Cable
from harness.devices.android.adb.link import Server
from harness.devices.android.adb.server import list_phones
from harness.devices.android.phone_store import FOLDER, RESERVE_BYTES, PhoneStore
from harness.errors import PhoneError, PhoneTrouble
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import AdbServer

MIB = 1 << 20


def a_file(folder: Path, size: int) -> tuple[Path, str]:
    data = os.urandom(size)
    path = folder / f"of {size} bytes"
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


@pytest.fixture
def store(cable: Cable) -> PhoneStore:
    store = PhoneStore(cable)
    store.prepare()
    return store


def test_a_file_is_sent_once(store: PhoneStore, cable: Cable, phone: VirtualPhone, tmp_path: Path) -> None:
    path, digest = a_file(tmp_path, MIB)
    assert store.put(path, digest)
    assert not store.put(path, digest)
    assert not PhoneStore(cable).put(path, digest)
    there = phone.path(f"{FOLDER}/{digest}")
    assert (there.read_bytes(), there.stat().st_mode & 0o777) == (path.read_bytes(), 0o644)
    assert there.parent.stat().st_mode & 0o777 == 0o755


def test_a_file_that_changed_on_the_phone_is_sent_anew(
    store: PhoneStore, cable: Cable, phone: VirtualPhone, tmp_path: Path
) -> None:
    path, digest = a_file(tmp_path, MIB)
    store.put(path, digest)
    phone.path(f"{FOLDER}/{digest}").write_bytes(b"something else")
    assert not PhoneStore(cable).holds(digest)
    assert PhoneStore(cable).put(path, digest)
    assert PhoneStore(cable).holds(digest)


def test_half_a_file_never_gets_the_name_and_is_taken_away_later(
    store: PhoneStore, cable: Cable, phone: VirtualPhone, tmp_path: Path
) -> None:
    path, digest = a_file(tmp_path, 8 * MIB)
    phone.cable.drop_after_bytes = 4 * MIB
    with pytest.raises(PhoneError) as caught:
        store.put(path, digest)
    assert caught.value.trouble in (PhoneTrouble.GONE, PhoneTrouble.OFFLINE)
    assert not phone.path(f"{FOLDER}/{digest}").exists()
    assert phone.path(f"{FOLDER}/{digest}.part").exists()
    back(cable)
    store.prepare()
    assert store.kept() == ()


def test_a_file_whose_digest_is_wrong_on_the_phone_is_refused(store: PhoneStore, tmp_path: Path) -> None:
    path, _ = a_file(tmp_path, 1000)
    with pytest.raises(PhoneError, match="arrived damaged"):
        store.put(path, "0" * 64)
    assert store.kept() == ()


def test_the_oldest_files_make_room_within_the_budget(cable: Cable, phone: VirtualPhone, tmp_path: Path) -> None:
    earlier = PhoneStore(cable)
    earlier.prepare()
    files = [a_file(tmp_path, size * MIB) for size in (1, 2, 3)]
    for age, (path, digest) in enumerate(files):
        earlier.put(path, digest)
        os.utime(phone.path(f"{FOLDER}/{digest}"), (1000 - age, 1000 - age))
    phone.path(f"{FOLDER}/a note of somebody").write_bytes(bytes(MIB))
    path, digest = a_file(tmp_path, 4 * MIB)
    PhoneStore(cable, budget_bytes=8 * MIB).put(path, digest)
    names = {file.name for file in earlier.kept()}
    assert names == {digest, files[0][1], files[1][1], "a note of somebody"}


def test_what_this_session_needs_is_never_removed(cable: Cable, tmp_path: Path) -> None:
    store = PhoneStore(cable, budget_bytes=2 * MIB)
    store.prepare()
    files = [a_file(tmp_path, size * MIB) for size in (1, 2)]
    for path, digest in files:
        store.put(path, digest)
    assert {file.name for file in store.kept()} == {digest for _, digest in files}


@pytest.fixture
def small_phone(adb_server: AdbServer, tmp_path: Path) -> Generator[VirtualPhone]:
    """A phone with very little storage."""
    with VirtualPhone(tmp_path / "small", data_bytes=RESERVE_BYTES + 24 * MIB) as phone:
        adb_server.connect(phone)
        assert adb_server.wait_state(phone, "device")
        yield phone
        adb_server.adb("disconnect", phone.address)


def test_a_full_phone_is_reported_before_anything_is_sent(
    small_phone: VirtualPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    store = PhoneStore(Cable(Server(port=adb_server.port), small_phone.address))
    store.prepare()
    path, digest = a_file(tmp_path, 16 * MIB)
    with pytest.raises(PhoneError, match=r"MiB free but 96 MiB are needed; free some space on the phone") as caught:
        store.put(path, digest)
    assert caught.value.trouble is PhoneTrouble.FULL
    assert store.kept() == ()


def test_old_files_make_room_on_a_phone_that_is_nearly_full(
    small_phone: VirtualPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    cable = Cable(Server(port=adb_server.port), small_phone.address)
    store = PhoneStore(cable)
    store.prepare()
    old, new = a_file(tmp_path, 9 * MIB), a_file(tmp_path, 8 * MIB)
    store.put(*old)
    assert PhoneStore(cable).put(*new)
    assert [file.name for file in store.kept()] == [new[1]]


def test_a_phone_that_gets_full_while_a_file_comes_in_says_so(
    small_phone: VirtualPhone, adb_server: AdbServer, tmp_path: Path
) -> None:
    cable = Cable(Server(port=adb_server.port), small_phone.address)
    path, _ = a_file(tmp_path, RESERVE_BYTES + 30 * MIB)
    with pytest.raises(PhoneError, match="No space left on device") as caught:
        cable.push(path, "/data/local/tmp/half")
    assert caught.value.trouble is PhoneTrouble.FULL


def back(cable: Cable) -> None:
    """Wait until the phone answers again."""
    ends_at = time.monotonic() + 10
    while not any(phone.serial == cable.serial and phone.trouble is None for phone in list_phones(cable.server)):
        assert time.monotonic() < ends_at
        time.sleep(0.1)
    cable.run("true")
