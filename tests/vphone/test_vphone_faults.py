"""Every fault of a phone happens on demand, and looks the same as on a real one."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.vphone.apkmaker import ACTIVITY, ApkMaker, ApkPlan
from tests.vphone.ends import wait_for
from tests.vphone.packages import InstallOptions
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import AdbServer, Said

APP = ApkPlan().package


def shell(server: AdbServer, phone: VirtualPhone, command: str) -> Said:
    return server.adb("-s", phone.address, "shell", command)


def start_app(phone: VirtualPhone, apks: ApkMaker) -> int:
    phone.packages.install(apks.make(ApkPlan()), InstallOptions())
    return int(phone.jail.run(f"am start -W -n {APP}/{ACTIVITY}; pidof {APP}").split()[-1])


def test_a_new_computer_waits_until_it_is_allowed(adb_server: AdbServer, phone: VirtualPhone) -> None:
    phone.faults.authorised = False
    adb_server.connect(phone)
    assert adb_server.wait_state(phone, "unauthorized")
    said = shell(adb_server, phone, "true")
    assert (said.code, "ADB_VENDOR_KEYS" in said.text) == (1, True)
    phone.faults.authorised = True
    assert adb_server.wait_state(phone, "device")
    assert shell(adb_server, phone, "echo in").out == b"in\n"


def test_a_known_computer_comes_in_by_its_signature(adb_server: AdbServer, phone: VirtualPhone) -> None:
    phone.door.allow_no_more()
    assert "connected to" in adb_server.connect(phone).text
    assert phone.door.waiting == ()


def test_another_computer_must_ask_although_one_is_allowed(
    adb_server: AdbServer, phone: VirtualPhone, tmp_path: Path
) -> None:
    phone.door.allow_no_more()
    with AdbServer(tmp_path / "other", adb_server.binary) as other:
        other.connect(phone)
        assert other.wait_state(phone, "unauthorized")
        assert len(phone.door.waiting) == 1
        assert adb_server.states()[phone.address] == "device"


def test_a_drop_ends_the_command_and_the_phone_comes_back(adb_server: AdbServer, phone: VirtualPhone) -> None:
    command = [str(adb_server.binary), "-s", phone.address, "shell", "echo begin; sleep 60; echo end"]
    with subprocess.Popen(command, env=adb_server.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"begin\n"
        phone.faults.drop_now()
        assert client.stdout.read() == b""
        # Version 29 ends with 0 here, as if the command had: what a command printed last is never proof of its end.
        client.wait(10)
    assert adb_server.wait_state(phone, "device")
    assert shell(adb_server, phone, "echo back").out == b"back\n"


@pytest.mark.parametrize(("modern", "stays"), [(True, True), (False, False)])
def test_a_command_outlives_a_drop_on_pipes_and_not_on_a_terminal(
    adb_server: AdbServer, phone: VirtualPhone, modern: bool, stays: bool
) -> None:
    phone.state.features = phone.state.features if modern else ()
    adb_server.connect(phone)
    command = [str(adb_server.binary), "-s", phone.address, "shell", "echo begin; sleep 77; echo end"]
    with subprocess.Popen(command, env=adb_server.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"begin\n"
        phone.faults.drop_now()
        client.wait(10)

    def runs() -> bool:
        return "sleep 77" in phone.jail.run("ps -A -o ARGS").splitlines()

    wait_for(lambda: runs() is stays)
    time.sleep(0.3)
    assert runs() is stays


def test_a_push_breaks_off_after_so_many_bytes(adb_server: AdbServer, phone: VirtualPhone, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(8_000_000))
    phone.faults.drop_after_bytes(3_000_000)
    said = adb_server.adb("-s", phone.address, "push", str(tmp_path / "big"), "/data/local/tmp/big")
    assert said.code == 1
    assert 0 < phone.path("/data/local/tmp/big").stat().st_size < 8_000_000
    assert adb_server.wait_state(phone, "device")


def test_a_phone_that_hangs_still_says_device(adb_server: AdbServer, phone: VirtualPhone) -> None:
    phone.faults.hang()
    with pytest.raises(subprocess.TimeoutExpired):
        adb_server.adb("-s", phone.address, "shell", "true", timeout_s=0.7)
    assert adb_server.states()[phone.address] == "device"
    phone.faults.hang(False)
    wait_for(lambda: shell(adb_server, phone, "echo well").out == b"well\n")


def test_a_phone_is_offline_until_it_greets(adb_server: AdbServer, phone: VirtualPhone) -> None:
    phone.faults.offline()
    assert adb_server.wait_state(phone, "offline")
    said = shell(adb_server, phone, "true")
    assert (said.code, "device offline" in said.text) == (1, True)
    phone.faults.hang(False)
    assert adb_server.wait_state(phone, "device")


def test_a_phone_that_somebody_fills_up_fails_the_push(
    adb_server: AdbServer, phone: VirtualPhone, tmp_path: Path
) -> None:
    (tmp_path / "big").write_bytes(bytes(4_000_000))
    phone.faults.enospc_after_bytes(1_000_000)
    said = adb_server.adb("-s", phone.address, "push", str(tmp_path / "big"), "/data/local/tmp/big")
    assert (said.code, "No space left on device" in said.text) == (1, True)
    phone.faults.make_room()
    assert adb_server.adb("-s", phone.address, "push", str(tmp_path / "big"), "/data/local/tmp/big").code == 0


def test_a_slow_cable_takes_as_long_as_it_must(adb_server: AdbServer, phone: VirtualPhone, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(1_000_000))
    phone.faults.slow(bytes_per_second=2_000_000)
    began = time.monotonic()
    assert adb_server.adb("-s", phone.address, "push", str(tmp_path / "big"), "/data/local/tmp/big").code == 0
    # No upper bound: this says that the cable was slow, not that this computer was fast.
    assert time.monotonic() - began >= 0.5


def test_an_unplugged_phone_is_gone_until_it_is_plugged(adb_server: AdbServer, phone: VirtualPhone) -> None:
    phone.faults.unplug()
    wait_for(lambda: adb_server.states().get(phone.address) != "device")
    assert shell(adb_server, phone, "true").code == 1
    phone.faults.plug()
    assert adb_server.wait_state(phone, "device")


def test_a_reboot_takes_its_steps(adb_server: AdbServer, phone: VirtualPhone) -> None:
    before = shell(adb_server, phone, "cat /proc/sys/kernel/random/boot_id; echo kept > /data/local/tmp/kept").out
    phone.faults.reboot(boot_s=1.5)
    wait_for(lambda: phone.state.boot_id != before.decode().strip())
    wait_for(lambda: shell(adb_server, phone, "getprop sys.boot_completed").out == b"\n")
    said = shell(adb_server, phone, "pm path android")
    assert (said.code, "Can't find service" in said.text) == (20, True)
    wait_for(lambda: shell(adb_server, phone, "getprop sys.boot_completed").out == b"1\n")
    after = shell(adb_server, phone, "cat /proc/sys/kernel/random/boot_id /data/local/tmp/kept").out.splitlines()
    assert after[0] != before.strip()
    assert after[1] == b"kept"


def test_adb_reboot_and_the_command_reboot(adb_server: AdbServer, phone: VirtualPhone) -> None:
    ids = [phone.state.boot_id]
    for command in (("reboot",), ("shell", "reboot")):
        adb_server.adb("-s", phone.address, *command)
        wait_for(lambda: phone.state.boot_id not in ids and phone.state.booted)
        assert adb_server.wait_state(phone, "device")
        ids.append(phone.state.boot_id)


@pytest.mark.parametrize("running", [True, False])
def test_the_memory_killer_ends_the_app_and_says_so(bare_phone: VirtualPhone, apks: ApkMaker, running: bool) -> None:
    if not running:
        bare_phone.faults.kill_app_for_memory()
    bare_phone.packages.install(apks.make(ApkPlan()), InstallOptions())
    bare_phone.jail.call(f"am start -W -n {APP}/{ACTIVITY}")
    if running:
        bare_phone.faults.kill_app_for_memory()
    wait_for(lambda: bare_phone.jail.call(f"pidof {APP}").code == 1)
    log = bare_phone.jail.call("logcat -d -b main,system,crash").text
    assert f"lowmemorykiller: Kill '{APP}'" in log
    assert f"Process {APP} (pid " in log
    assert "reason=3 (LOW MEMORY)" in bare_phone.jail.call(f"dumpsys activity exit-info {APP}").text


@pytest.mark.parametrize(("native", "word"), [(True, "Fatal signal 11 (SIGSEGV)"), (False, "FATAL EXCEPTION: main")])
def test_a_crash_leaves_its_lines(bare_phone: VirtualPhone, apks: ApkMaker, native: bool, word: str) -> None:
    pid = start_app(bare_phone, apks)
    bare_phone.faults.crash_app(native=native)
    assert bare_phone.jail.call(f"ls -d /proc/{pid}").code == 1
    line = next(row for row in bare_phone.jail.call("logcat -d -b crash").text.splitlines() if word in row)
    assert f" {pid} " in line


def test_a_reply_comes_back_in_half_once(bare_phone: VirtualPhone, apks: ApkMaker) -> None:
    bare_phone.packages.install(apks.make(ApkPlan()), InstallOptions())
    reply = bare_phone.path(f"/data/data/{APP}/files/jobs/j/reply.json")
    reply.parent.mkdir(parents=True)
    reply.write_bytes(b"0123456789")
    bare_phone.faults.half_reply()
    read = f"content read --uri content://{APP}.jobs/j/reply.json"
    assert [bare_phone.jail.call(read).out for _ in range(2)] == [b"01234", b"0123456789"]


def test_the_clock_jumps(bare_phone: VirtualPhone) -> None:
    before = int(bare_phone.jail.call("date +%s").out)
    bare_phone.faults.clock_jump(-86400)
    assert 86300 < before - int(bare_phone.jail.call("date +%s").out) <= 86400


def test_a_server_that_was_killed_starts_again_and_finds_the_phone(adb_server: AdbServer, phone: VirtualPhone) -> None:
    adb_server.restart()
    assert adb_server.states() == {}
    adb_server.connect(phone)
    assert adb_server.wait_state(phone, "device")


def test_logcat_follows_until_its_reader_leaves(adb_server: AdbServer, phone: VirtualPhone) -> None:
    command = [str(adb_server.binary), "-s", phone.address, "logcat", "Runner:W", "*:S"]
    with subprocess.Popen(command, env=adb_server.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        threading.Timer(0.2, phone.log.add, ("W", "Runner", "at W")).start()
        assert b"at W" in client.stdout.readline()
        client.kill()

    def has_noticed() -> bool:
        phone.log.add("E", "Runner", "one more line, which nobody reads")
        return "logcat" not in phone.jail.run("ps -A -o ARGS")

    wait_for(has_noticed)
