"""Real ssh servers to measure through: on loopback, or as boards of their own in network, mount and pid namespaces.

The client is the real one too. A small ``ssh`` comes first on the path, which gives it the configuration of the test
instead of the developer's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import MISSING

SSHD = Path("/usr/sbin/sshd")
START_S = 20.0
_CLIENT = """
Host {name}
  HostName {address}
  Port {port}
  User root
  IdentityFile {keys}/id
  IdentitiesOnly yes
  UserKnownHostsFile {keys}/known_hosts
  GlobalKnownHostsFile /dev/null
"""
_SERVER = """
ListenAddress {address}
HostKey {keys}/host_key
AuthorizedKeysFile {keys}/id.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin yes
LogLevel ERROR
MaxStartups 100
Subsystem sftp internal-sftp
"""


def need_sshd() -> None:
    """Skip the test where there is no ssh server, or nobody may start one."""
    if not SSHD.exists() or shutil.which("ssh-keygen") is None:
        pytest.skip(f"{MISSING}openssh-server and openssh-client")
    if os.getuid():
        pytest.skip(f"{MISSING}root, which an ssh server with its own configuration needs")


def need_namespaces() -> None:
    """Skip the test where no namespaces can be made."""
    need_sshd()
    if shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip(f"{MISSING}iproute2 and util-linux")
    probe = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"{MISSING}the right to make namespaces")


@dataclass(slots=True)
class Lab:
    """Keys, the client's configuration and the servers of a test file."""

    folder: Path
    config: list[str] = field(default_factory=list)

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    def prepare(self) -> None:
        """Make the keys and the client."""
        self.keys.mkdir(parents=True)
        for name in ("host_key", "id", "other_host_key", "stranger"):
            self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.keys / name))
        client = self.folder / "bin" / "ssh"
        client.parent.mkdir()
        client.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.folder}/ssh_config "$@"\n')
        client.chmod(0o755)

    def session(self, cache: Path) -> dict[str, str]:
        """The environment of a session on a board: Python, a home whose login script prints, and its files' place."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        (home / ".bashrc").write_text("echo Welcome to the board; echo\n")
        path = f"{sys.base_prefix}/bin:/usr/bin:/bin:/usr/sbin"
        return {"HOME": str(home), "PATH": path, "XDG_CACHE_HOME": str(cache)}

    def run(self, *command: str) -> None:
        """Run a command that must succeed."""
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def know(self, name: str, address: str, port: int, *, host_key: str = "host_key", more: str = "") -> None:
        """Give the client a board: an entry in its configuration, and the board's key."""
        self.config.append(_CLIENT.format(name=name, address=address, port=port, keys=self.keys) + more)
        (self.folder / "ssh_config").write_text("".join(self.config))
        key = (self.keys / f"{host_key}.pub").read_text()
        place = address if port == 22 else f"[{address}]:{port}"
        with (self.keys / "known_hosts").open("a") as file:
            file.write(f"{place} {key}")

    def server_config(self, name: str, address: str, lines: list[str]) -> Path:
        """Write the configuration of a server."""
        path = self.folder / f"{name}.sshd_config"
        path.write_text(_SERVER.format(address=address, keys=self.keys) + "\n".join(lines) + "\n")
        return path

    def environment(self) -> dict[str, str]:
        """What a phonebench needs to use this lab: the client, and a cache folder of its own."""
        return {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "XDG_CACHE_HOME": str(self.folder / "cache")}

    @contextlib.contextmanager
    def loopback(self, boards: Mapping[str, Path], lines: list[str] | None = None) -> Iterator[None]:
        """Serve boards on loopback, one port each; each keeps its files in its own folder."""
        ports = {name: free_port() for name in boards}
        config = [*(f"Port {port}" for port in ports.values()), *(lines or [])]
        for name, folder in boards.items():
            config += [f"Match LocalPort {ports[name]}", f"  {set_env(self.session(folder))}"]
            self.know(name, "127.0.0.1", ports[name])
        path = self.server_config("loopback", "127.0.0.1", config)
        Path("/run/sshd").mkdir(exist_ok=True)
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", path], stderr=subprocess.DEVNULL)
        try:
            for port in ports.values():
                await_port("127.0.0.1", port, server)
            yield
        finally:
            server.terminate()
            server.wait()


class NamespaceBoard:
    """A board in namespaces of its own, at the other end of a cable that can be pulled."""

    def __init__(self, lab: Lab, name: str, number: int) -> None:
        self.lab, self.name = lab, name
        self._space = f"pb{os.getpid()}n{number}"
        self._cable = f"pb{os.getpid() % 100_000}v{number}"
        # Of the block for benchmarks of networks (RFC 2544), which no real network uses.
        network = f"198.18.{os.getpid() % 250}.{8 * number}"
        base, last = network.rpartition(".")[::2]
        self.here, self.address, self.nobody = (f"{base}.{int(last) + n}" for n in (1, 2, 3))
        self.root = lab.folder / name
        self._setup: list[str] = []
        self._server: subprocess.Popen[bytes] | None = None

    def build(self) -> None:
        """Lay the cable and tell the client of the board. The network is small, and one of its addresses is unused."""
        self.root.mkdir()
        peer = f"{self._cable}p"
        self.lab.run("ip", "netns", "add", self._space)
        self.lab.run("ip", "link", "add", self._cable, "type", "veth", "peer", "name", peer, "netns", self._space)
        self.lab.run("ip", "address", "add", f"{self.here}/29", "dev", self._cable)
        self.lab.run("ip", "link", "set", self._cable, "up")
        for command in (f"address add {self.address}/29 dev {peer}", f"link set {peer} up", "link set lo up"):
            self.lab.run("ip", "-n", self._space, *command.split())
        self.lab.know(self.name, self.address, 22)

    def start(
        self,
        *,
        environment: dict[str, str] | None = None,
        setup: list[str] | None = None,
        lines: list[str] | None = None,
    ) -> None:
        """Boot: a new boot id, what ``setup`` mounts, and the server, which gives sessions their ``environment``."""
        values = self.lab.session(self.root / "cache") | (environment or {})
        config = self.lab.server_config(self.name, self.address, ["Port 22", set_env(values), *(lines or [])])
        boot = self.root / "boot_id"
        boot.write_text(f"{os.urandom(16).hex()}\n")
        script = ["set -e", f"mount --bind {boot} /proc/sys/kernel/random/boot_id", *(setup or [])]
        script += ["mkdir -p /run/sshd", f"exec {SSHD} -D -e -f {config}"]
        spaces = ["unshare", "--pid", "--mount", "--uts", "--fork", "--kill-child=SIGKILL", "--mount-proc"]
        self._server = subprocess.Popen(
            ["ip", "netns", "exec", self._space, *spaces, "sh", "-c", "\n".join(script)], stderr=subprocess.DEVNULL
        )
        await_port(self.address, 22, self._server)

    def stop(self) -> None:
        """Cut the power."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def pull_cable(self) -> None:
        """Pull the cable out."""
        self.lab.run("ip", "link", "set", self._cable, "down")

    def plug_in(self) -> None:
        """Plug it in again."""
        self.lab.run("ip", "link", "set", self._cable, "up")

    def remove(self) -> None:
        """Stop the board and take its network away."""
        self.stop()
        subprocess.run(["ip", "netns", "del", self._space], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self._cable], check=False, capture_output=True)


def set_env(values: Mapping[str, str]) -> str:
    """The line of a server's configuration that gives its sessions these variables; only the first such line counts."""
    return f"SetEnv {' '.join(f'{name}={value}' for name, value in values.items())}"


def free_port() -> int:
    """Return a port of loopback that nothing uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def await_port(address: str, port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server accepts connections."""
    ends_at = time.monotonic() + START_S
    while time.monotonic() < ends_at:
        assert server.poll() is None, "the ssh server ended at once"
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1.0):
            return
        time.sleep(0.02)
    pytest.fail(f"the ssh server at {address}:{port} did not start within {START_S:g} s")
