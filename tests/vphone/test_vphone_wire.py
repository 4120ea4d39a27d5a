"""Real adb binaries use the phone like a real one: devices, shell, files, forwards, authorisation."""

from __future__ import annotations

import os
import socket
import subprocess
from io import BufferedReader
from pathlib import Path

import pytest

from tests.vphone.ends import echo_server, wait_for
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import AdbServer
from tests.vphone.shell import FRAME, Frame


def test_devices_lists_what_the_phone_is(adb_server: AdbServer, phone: VirtualPhone) -> None:
    line = next(row for row in adb_server.adb("devices", "-l").text.splitlines() if row.startswith(phone.address))
    for word in ("device ", "product:vphone", "model:Virtual_Phone", "device:vphone", "transport_id:"):
        assert word in line


@pytest.mark.parametrize("code", [0, 5, 255])
def test_shell_brings_the_exit_code_and_both_streams_apart(
    adb_server: AdbServer, phone: VirtualPhone, code: int
) -> None:
    said = adb_server.adb("-s", phone.address, "shell", f"echo out; echo err >&2; exit {code}")
    assert (said.code, said.out, said.err) == (code, b"out\n", b"err\n")


def test_a_command_ended_by_a_signal_says_which(adb_server: AdbServer, phone: VirtualPhone) -> None:
    assert adb_server.adb("-s", phone.address, "shell", "kill -9 $$").code == 128 + 9


def test_the_shell_is_androids_with_androids_tools(adb_server: AdbServer, phone: VirtualPhone) -> None:
    said = adb_server.adb("-s", phone.address, "shell", "echo $KSH_VERSION; readlink -f /bin/ls; echo $TMPDIR")
    version, tool, scratch = said.out.decode().splitlines()
    assert "MIRBSD KSH" in version
    assert (tool, scratch) == ("/system/bin/toybox", "/data/local/tmp")


def test_standard_input_reaches_the_command_and_ends(adb_server: AdbServer, phone: VirtualPhone) -> None:
    data = os.urandom(300_000)
    said = adb_server.adb("-s", phone.address, "shell", "cat", stdin=data)
    assert (said.code, said.out == data) == (0, True)


def test_exec_is_safe_for_bytes_both_ways(adb_server: AdbServer, phone: VirtualPhone) -> None:
    data = bytes(range(256)) * 5000
    assert adb_server.adb("-s", phone.address, "exec-in", "cat > /data/local/tmp/raw", stdin=data).code == 0
    # The command line does not wait for the command, which may not even have begun.
    written = phone.path("/data/local/tmp/raw")
    wait_for(lambda: written.is_file() and written.stat().st_size == len(data))
    assert adb_server.adb("-s", phone.address, "exec-out", "cat /data/local/tmp/raw").out == data


def test_an_interactive_shell_has_a_terminal(adb_server: AdbServer, phone: VirtualPhone) -> None:
    said = adb_server.adb("-s", phone.address, "shell", "-tt", stdin=b"tty; echo $((40 + 2)); exit 7\n")
    assert said.code == 7
    assert b"/dev/pts/" in said.out
    assert b"42" in said.out


def test_an_endless_command_ends_with_its_client_on_a_terminal(adb_server: AdbServer, phone: VirtualPhone) -> None:
    command = [str(adb_server.binary), "-s", phone.address, "shell", "-tt", "while sleep 0.05; do echo tick; done"]
    with subprocess.Popen(command, env=adb_server.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert b"tick" in client.stdout.readline()
        client.kill()
    wait_for(lambda: "tick" not in phone.jail.run("ps -A -o ARGS"))


def test_files_and_folders_go_there_and_back(adb_server: AdbServer, phone: VirtualPhone, tmp_path: Path) -> None:
    here, back = tmp_path / "some folder", tmp_path / "back"
    (here / "deep er").mkdir(parents=True)
    (here / "deep er" / "it's big.bin").write_bytes(os.urandom(3_000_000))
    (here / "empty").write_bytes(b"")
    (here / "empty").chmod(0o755)
    assert adb_server.adb("-s", phone.address, "push", str(here), "/data/local/tmp/there").code == 0
    assert adb_server.adb("-s", phone.address, "pull", "/data/local/tmp/there", str(back)).code == 0
    sent = (here / "deep er" / "it's big.bin").read_bytes()
    assert (back / "deep er" / "it's big.bin").read_bytes() == sent
    assert phone.path("/data/local/tmp/there/empty").stat().st_mode & 0o777 == 0o755


def test_a_push_keeps_the_time_of_the_file(adb_server: AdbServer, phone: VirtualPhone, tmp_path: Path) -> None:
    file = tmp_path / "old"
    file.write_bytes(b"x")
    os.utime(file, (1_500_000_000, 1_500_000_000))
    adb_server.adb("-s", phone.address, "push", str(file), "/sdcard/old")
    assert adb_server.adb("-s", phone.address, "shell", "stat -c '%Y %s' /sdcard/old").out == b"1500000000 1\n"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("push", "{file}", "/proc/none/x"), "No such file or directory"),
        (("push", "{file}", "/sys/x"), "Read-only file system"),
        (("pull", "/data/local/tmp/none", "{file}"), "No such file or directory"),
    ],
)
def test_a_transfer_that_cannot_be_says_why(
    adb_server: AdbServer, phone: VirtualPhone, tmp_path: Path, command: tuple[str, ...], why: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 200_000)
    said = adb_server.adb("-s", phone.address, *(word.format(file=file) for word in command))
    assert said.code == 1
    assert why in said.text


def test_a_full_phone_refuses_a_push_for_the_true_reason(
    adb_server: AdbServer, phone: VirtualPhone, tmp_path: Path
) -> None:
    file = tmp_path / "big"
    file.write_bytes(bytes(3_000_000))
    phone.jail.resize_data(2_000_000)
    said = adb_server.adb("-s", phone.address, "push", str(file), "/data/local/tmp/big")
    assert said.code == 1
    assert "No space left on device" in said.text
    assert "100%" in adb_server.adb("-s", phone.address, "shell", "df /data").text


@pytest.mark.parametrize("port", ["tcp:0", "tcp:{free}"])
def test_a_forward_reaches_a_socket_of_the_phone(adb_server: AdbServer, phone: VirtualPhone, port: str) -> None:
    with echo_server() as (host, there), socket.create_server((host, 0)) as free:
        chosen = free.getsockname()[1]
        free.close()
        said = adb_server.adb("-s", phone.address, "forward", port.format(free=chosen), f"tcp:{there}")
        bound = int(said.out or chosen)
        with socket.create_connection((host, bound), timeout=5) as link:
            link.sendall(b"to the phone")
            assert link.recv(100) == b"to the phone"
        adb_server.adb("-s", phone.address, "forward", "--remove", f"tcp:{bound}")


def test_a_forward_reaches_a_local_socket(adb_server: AdbServer, phone: VirtualPhone) -> None:
    name = f"phonebench-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        bound = int(adb_server.adb("-s", phone.address, "forward", "tcp:0", f"localabstract:{name}").out)
        with socket.create_connection(("127.0.0.1", bound), timeout=5) as link, listener.accept()[0] as there:
            link.sendall(b"to a name")
            assert there.recv(100) == b"to a name"
            there.sendall(b"and back")
            there.shutdown(socket.SHUT_WR)
            assert link.recv(100) == b"and back"
    adb_server.adb("-s", phone.address, "forward", "--remove-all")


def test_a_terminal_has_the_size_of_the_clients_window(adb_server: AdbServer, phone: VirtualPhone) -> None:
    with (
        socket.create_connection(("127.0.0.1", adb_server.port), timeout=10) as link,
        link.makefile("rb") as answers,
    ):
        for request in (f"host:transport:{phone.address}", "shell,v2,pty:"):
            link.sendall(f"{len(request):04x}{request}".encode())
            assert answers.read(4) == b"OKAY"
        for frame, data in ((Frame.WINDOW, b"33x77,0x0\0"), (Frame.STDIN, b"echo =$LINES=$COLUMNS=; exit\n")):
            link.sendall(FRAME.pack(frame, len(data)) + data)
        assert b"=33=77=" in answers.read()


def test_a_forward_to_nothing_closes_and_does_not_hang(adb_server: AdbServer, phone: VirtualPhone) -> None:
    bound = int(adb_server.adb("-s", phone.address, "forward", "tcp:0", "localabstract:nobody").out)
    with socket.create_connection(("127.0.0.1", bound), timeout=5) as link:
        assert link.recv(1) == b""
    adb_server.adb("-s", phone.address, "forward", "--remove-all")


def test_a_reverse_forward_reaches_a_socket_of_the_computer(adb_server: AdbServer, phone: VirtualPhone) -> None:
    with echo_server() as (host, there):
        bound = int(adb_server.adb("-s", phone.address, "reverse", "tcp:0", f"tcp:{there}").out)
        assert f"tcp:{bound} tcp:{there}" in adb_server.adb("-s", phone.address, "reverse", "--list").text
        with socket.create_connection((host, bound), timeout=5) as link:
            link.sendall(b"to the computer")
            assert link.recv(100) == b"to the computer"
        assert adb_server.adb("-s", phone.address, "reverse", "--remove", f"tcp:{bound}").code == 0
        assert adb_server.adb("-s", phone.address, "reverse", "--remove", f"tcp:{bound}").code == 1


def test_a_phone_that_does_not_know_a_service_refuses_it(adb_server: AdbServer, phone: VirtualPhone) -> None:
    said = adb_server.adb("-s", phone.address, "jdwp", timeout_s=10)
    assert said.out == b""
    assert "cannot run as root" in adb_server.adb("-s", phone.address, "root").text


def test_the_server_tells_of_each_change(adb_server: AdbServer, phone: VirtualPhone) -> None:
    with (
        socket.create_connection(("127.0.0.1", adb_server.port), timeout=10) as link,
        link.makefile("rb") as answers,
    ):
        link.sendall(b"0012host:track-devices")
        assert answers.read(4) == b"OKAY"
        assert f"{phone.address}\tdevice" in _counted(answers)
        phone.faults.unplug()
        # adb 29 reports that a phone on TCP went away only once it reconnects.
        phone.faults.plug()
        while f"{phone.address}\tdevice" in _counted(answers):
            pass
        while f"{phone.address}\tdevice" not in _counted(answers):
            pass


def test_a_file_over_4_gib_has_its_size_in_version_2_alone(adb_server: AdbServer, phone: VirtualPhone) -> None:
    import adbutils

    phone.jail.run("truncate -s 5368709120 /data/local/tmp/huge")
    assert adb_server.adb("-s", phone.address, "shell", "stat -c %s /data/local/tmp/huge").out == b"5368709120\n"
    device = adbutils.AdbClient(host="127.0.0.1", port=adb_server.port).device(phone.address)
    assert device.sync.stat("/data/local/tmp/huge").size == 5368709120 % 2**32


def test_adbutils_works_the_phone(adb_server: AdbServer, phone: VirtualPhone) -> None:
    import adbutils

    device = adbutils.AdbClient(host="127.0.0.1", port=adb_server.port).device(phone.address)
    assert device.prop.model == phone.state.model
    done = device.shell2("echo out; echo err >&2; exit 4", v2=True)
    assert (done.returncode, done.stdout, done.stderr) == (4, "out\n", "err\n")
    device.sync.push(b"pushed", "/data/local/tmp/a file")
    assert device.sync.read_bytes("/data/local/tmp/a file") == b"pushed"
    assert "a file" in [entry.path for entry in device.sync.list("/data/local/tmp")]


def test_a_phone_from_before_version_2_loses_exit_codes_as_those_did(
    adb_server: AdbServer, phone: VirtualPhone, tmp_path: Path
) -> None:
    phone.state.features = ()
    adb_server.connect(phone)
    said = adb_server.adb("-s", phone.address, "shell", "echo both; echo streams >&2; exit 5")
    assert (said.code, said.out, said.err) == (0, b"both\nstreams\n", b"")
    file = tmp_path / "v1"
    file.write_bytes(os.urandom(100_000))
    assert adb_server.adb("-s", phone.address, "push", str(file), "/data/local/tmp/").code == 0
    assert adb_server.adb("-s", phone.address, "pull", "/data/local/tmp/v1", str(tmp_path / "back")).code == 0
    assert (tmp_path / "back").read_bytes() == file.read_bytes()


def _counted(answers: BufferedReader) -> str:
    return answers.read(int(answers.read(4), 16)).decode()
