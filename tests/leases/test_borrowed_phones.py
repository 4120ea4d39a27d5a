"""Phones of a farm in real runs: a fake STF in front, a virtual phone behind, and a real adb server between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.devices.android.adb.leased import adb_name
from harness.errors import LeaseError, LeaseTrouble, PhoneError, PhoneTrouble, UsageError
from harness.leases.hold import borrowed
from harness.leases.lease import Lease, OfferedPhone
from tests.conftest import Called, call_phonebench
from tests.devices.android.apks import TinyApk, tiny
from tests.devices.android.conftest import standin
from tests.devices.android.jobs import make_work
from tests.leases.fake_stf import OTHER, TOKEN, FakeStf, StfPhone, fake_stf
from tests.loop.shared import SharedFolder
from tests.vphone.apkmaker import ApkMaker
from tests.vphone.fixtures import apks, bare_phone
from tests.vphone.packages import InstallOptions
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import Adb, AdbServer, adb_binary

__all__ = ["apks", "bare_phone"]

SERIAL = "R5CT1"


@pytest.fixture(scope="module")
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbServer]:
    """A real adb server, one of the two: that either reaches a phone on the network is tested elsewhere."""
    binary = adb_binary(Adb.WHEEL)
    if binary is None:
        pytest.skip("missing: adb; install adbutils")
    with AdbServer(tmp_path_factory.mktemp("adb"), binary) as server:
        yield server


@pytest.fixture(scope="module")
def onnx_apk(apks: ApkMaker) -> TinyApk:
    return tiny(apks)


@pytest.fixture
def stf(bare_phone: VirtualPhone, onnx_apk: TinyApk) -> Iterator[FakeStf]:
    """A farm with the virtual phone, which adb does not know yet, and one that somebody else has."""
    bare_phone.packages.install(onnx_apk.path, InstallOptions())
    bare_phone.apps.program = standin
    lent = StfPhone(serial=SERIAL, address=bare_phone.address)
    with fake_stf(lent, StfPhone(serial="taken", owner=OTHER)) as served:
        yield served


@pytest.fixture
def phonebench(adb_server: AdbServer, tmp_path: Path, shared: SharedFolder) -> Callable[..., Called]:
    """The command line with that adb server and a token."""
    home = tmp_path / "home"
    home.mkdir()
    make_work(home).model.rename(home / "net.onnx")
    environment = adb_server.env | {"PHONEBENCH_STF_TOKEN": TOKEN}

    def call(*args: str) -> Called:
        cache = ("--cache-dir", str(shared.folder("phone-cache"))) if args[0] in ("run", "nightly") else ()
        return call_phonebench(*args, *cache, cwd=home, env=environment)

    return call


def cells(called: Called) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = called.json()["cells"]
    return shown


def test_a_run_borrows_a_phone_measures_on_it_and_gives_it_back(
    phonebench: Callable[..., Called], stf: FakeStf, adb_server: AdbServer
) -> None:
    listed = phonebench("devices", "--farm", stf.url)
    assert f"android:{SERIAL}" in listed.out
    assert "in use by Ana" in listed.out
    done = phonebench("run", "net.onnx", "--device", "android:all", "--farm", stf.url, "--json")
    assert done.code == 0, done.err
    (cell,) = cells(done)
    # The key is that of the serial, wherever adb reached the phone.
    assert (cell["device"], cell["status"]) == (f"android:{SERIAL}", "ok")
    phone = stf.phones[SERIAL]
    assert (phone.owner, phone.open) == (None, False)
    assert phone.timeout_ms == 1_800_000
    assert phone.address not in adb_server.states()


def test_a_night_goes_on_without_the_phone_that_is_not_lent(
    phonebench: Callable[..., Called], stf: FakeStf, tmp_path: Path
) -> None:
    (tmp_path / "home" / "night.toml").write_text(
        f'model = ["net.onnx"]\ndevice = ["android:{SERIAL}", "android:taken"]\nprofile = "quick"\n'
    )
    done = phonebench("nightly", "night.toml", "--farm", stf.url, "--json")
    assert done.code == 20, done.err
    night = done.json()
    (absent,) = night["absent"]
    assert absent["device"] == "android:taken"
    assert "does not lend phone taken (403" in absent["reason"]
    states = {series["cell"]: series["state"] for series in night["series"]}
    assert {state for cell, state in states.items() if SERIAL in cell} != {"incomplete"}
    assert [state for cell, state in states.items() if "taken" in cell] == ["incomplete"]
    assert stf.phones[SERIAL].owner is None


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("--device", "android:taken"), 3, "does not lend phone taken (403"),
        (("--device", "android:none"), 3, "it has no such phone"),
        (("--device", "host"), 2, "add --device android:all"),
        ((), 2, "add --device android:all"),
    ],
)
def test_what_cannot_be_borrowed_stops_a_run_before_it_begins(
    phonebench: Callable[..., Called], stf: FakeStf, args: tuple[str, ...], code: int, words: str
) -> None:
    done = phonebench("run", "net.onnx", *args, "--farm", stf.url)
    assert (done.code, words in done.err) == (code, True), done.err
    assert stf.phones[SERIAL].owner is None


class Rack:
    """A farm without a network: phones that adb cannot reach, which is enough to see who is borrowed when."""

    def __init__(self, *serials: str, taken: tuple[str, ...] = ()) -> None:
        self.serials, self.taken = serials, set(taken)
        self.held: list[str] = []
        self.log: list[str] = []

    def list(self) -> tuple[OfferedPhone, ...]:
        return tuple(OfferedPhone(serial=s, taken="in use by Ana" if s in self.taken else "") for s in self.serials)

    def acquire(self, serial: str, idle_s: float) -> Lease:  # noqa: ARG002
        if serial in self.taken:
            msg = f"phone {serial} is taken"
            raise LeaseError(msg, trouble=LeaseTrouble.TAKEN, serial=serial)
        self.log.append(f"+{serial}")
        self.held.append(serial)
        return Lease(serial=serial, address=f"127.0.0.1:{10 + len(self.log)}")

    def holds(self, serial: str) -> bool:
        return serial in self.held

    def release(self, serial: str) -> None:
        self.log.append(f"-{serial}")
        if serial in self.held:
            self.held.remove(serial)


@pytest.fixture(autouse=True)
def own_server(adb_server: AdbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process asks the same adb server."""
    for name, value in adb_server.env.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("keys", "borrows", "result"),
    [
        (("android:b",), "b", ("android:b",)),
        (("android",), "a", ("android:a",)),
        (("android:all",), "abd", ("android:a", "android:b", "android:d")),
        (("android:all", "android:b", "host"), "bad", ("android:a", "android:d", "android:b", "host")),
        (("host", "android:b", "android:b"), "b", ("host", "android:b")),
        (("fake", "android"), "a", ("fake", "android:a")),
    ],
)
def test_who_is_borrowed(keys: tuple[str, ...], borrows: str, result: tuple[str, ...]) -> None:
    rack = Rack("a", "b", "c", "d", taken=("c",))
    with borrowed(rack, keys) as devices:
        assert devices == result
        assert sorted(rack.held) == sorted(borrows)
    assert rack.held == []
    assert len(rack.log) == 2 * len(borrows)


def test_phones_are_given_back_when_a_later_one_is_not_lent_and_when_the_run_fails() -> None:
    rack = Rack("a", "b", taken=("b",))
    with pytest.raises(LeaseError, match="phone b is taken"), borrowed(rack, ("android:a", "android:b")):
        pass
    assert rack.log == ["+a", "-a"]
    with pytest.raises(KeyboardInterrupt), borrowed(rack, ("android:a",)):
        raise KeyboardInterrupt
    assert rack.held == []
    assert adb_name("a") == "a"


def test_a_phone_that_is_not_lent_says_so_when_it_is_opened() -> None:
    with borrowed(Rack("a", "b", taken=("b",)), ("android:a", "android:b"), strict=False) as devices:
        assert devices == ("android:a", "android:b")
        assert adb_name("a").startswith("127.0.0.1:")
        with pytest.raises(LeaseError, match="phone b is taken"):
            adb_name("b")
    assert adb_name("b") == "b"


def test_a_phone_that_adb_cannot_reach_leaves_the_others_of_a_night_alone() -> None:
    class Unreachable(Rack):
        def acquire(self, serial: str, idle_s: float) -> Lease:
            if serial == "b":
                msg = "the adb server does not start"
                raise PhoneError(msg, trouble=PhoneTrouble.NO_SERVER)
            return super().acquire(serial, idle_s)

    with borrowed(Unreachable("a", "b"), ("android:a", "android:b"), strict=False):
        assert adb_name("a").startswith("127.0.0.1:")
        with pytest.raises(PhoneError, match="does not start"):
            adb_name("b")


def test_a_lease_that_ends_in_the_middle_is_borrowed_again() -> None:
    rack = Rack("a")
    with borrowed(rack, ("android:a",), look_s=0.01):
        before = adb_name("a")
        rack.held.clear()
        end = time.monotonic() + 60
        while adb_name("a") == before and time.monotonic() < end:
            time.sleep(0.01)
        assert adb_name("a") != before
    assert rack.log[:2] == ["+a", "+a"]
    assert rack.held == []


@pytest.mark.parametrize(("serials", "words"), [(("c",), "c: in use by Ana"), ((), "lends no phone to you")])
def test_no_phone_is_free(serials: tuple[str, ...], words: str) -> None:
    with pytest.raises(LeaseError, match=words), borrowed(Rack(*serials, taken=("c",)), ("android:all",)):
        pass


def test_a_farm_is_of_no_use_without_phones() -> None:
    words = "--farm lends phones, but the devices are host, fake"
    with pytest.raises(UsageError, match=words), borrowed(Rack("a"), ("host", "fake")):
        pass
