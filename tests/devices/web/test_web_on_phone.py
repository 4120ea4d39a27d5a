"""Chrome on a virtual phone: a real adb server, a real reverse forward and intent, and a Chromium in Chrome's place.

What is not tested: Android itself, which may stop a page that the user sends to the background.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.devices.android.adb.cable import Cable
from harness.devices.android.adb.link import Server
from harness.devices.web.on_phone import ACTIVITY, CHROME, browser_on, devtools
from harness.devices.web.process import FLAGS, WITHOUT_GPU, as_root
from harness.devices.web.server import PageServer
from harness.devices.web.web import open_page
from harness.errors import PhoneError
from harness.wire import Delegate, Format
from tests.devices.web.conftest import brief, run
from tests.vphone.apkmaker import ApkMaker, ApkPlan
from tests.vphone.apps import IDLE, Launch
from tests.vphone.fixtures import adb_server, apks, bare_phone, phone
from tests.vphone.packages import InstallOptions
from tests.vphone.phone import VirtualPhone
from tests.vphone.server import AdbServer

__all__ = ["adb_server", "apks", "bare_phone", "phone"]


class ChromeOfPhone:
    """A Chromium of this computer that opens what the phone's intents name, behind the phone's DevTools socket."""

    def __init__(self, program: Path, profile: Path) -> None:
        self.opened = list[str]()
        flags = [flag for flag in (*FLAGS, *WITHOUT_GPU, *as_root()) if flag != "--remote-debugging-pipe"]
        command = [str(program), *flags, "--remote-debugging-port=0", f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._port = self._devtools_port(profile / "DevToolsActivePort")
        self._relay = socket.socket(socket.AF_UNIX)
        self._relay.bind("\0chrome_devtools_remote")
        self._relay.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def start(self, launch: Launch) -> list[str]:
        """The program of the app: the page is opened here, and the app itself does nothing."""
        self.opened.append(launch.extras["data"])
        self._ask("PUT", f"/json/new?{launch.extras['data']}")
        # The new tab is in front, as it is on a phone, once no other one is left in the window.
        for tab in self._ask("GET", "/json/list"):
            if tab["url"] == "about:blank":
                self._ask("GET", f"/json/close/{tab['id']}")
        return IDLE

    def tabs(self) -> list[str]:
        """The addresses of the open pages."""
        return [tab["url"] for tab in self._ask("GET", "/json/list") if tab["type"] == "page"]

    def end(self) -> None:
        # Closing alone does not wake the thread that accepts, and the name stays in use.
        self._relay.shutdown(socket.SHUT_RDWR)
        self._relay.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _ask(self, method: str, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        connection.request(method, path)
        body = connection.getresponse().read().decode()
        connection.close()
        return json.loads(body) if body.startswith(("[", "{")) else body

    def _devtools_port(self, file: Path) -> int:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if file.exists() and (lines := file.read_text().split()):
                return int(lines[0])
            time.sleep(0.05)
        pytest.fail("Chromium does not listen for DevTools")

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._relay.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(link,), daemon=True).start()

    def _carry(self, link: socket.socket) -> None:
        # One request per connection, as phonebench makes them. Chrome itself keeps the connection.
        with link, socket.create_connection(("127.0.0.1", self._port)) as chrome:
            chrome.sendall(link.recv(65536))
            while data := chrome.recv(65536):
                link.sendall(data)


@pytest.fixture
def chrome(
    phone: VirtualPhone, apks: ApkMaker, chromium: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ChromeOfPhone]:
    plan = ApkPlan(package=CHROME, activity=ACTIVITY.partition("/")[2], door="")
    phone.packages.install(apks.make(plan), InstallOptions())
    stand_in = ChromeOfPhone(chromium, tmp_path_factory.mktemp("chrome"))
    phone.apps.program = stand_in.start
    yield stand_in
    stand_in.end()


@pytest.fixture
def cable(adb_server: AdbServer, phone: VirtualPhone) -> Cable:
    return Cable(Server(port=adb_server.port), phone.address)


def test_a_page_on_a_phone_measures_and_is_closed_again(
    cable: Cable,
    chrome: ChromeOfPhone,
    store: Path,
    digits_files: dict[tuple[str, str], Path],
    digits_inputs: Path,
) -> None:
    file = digits_files["tflite", "fp32"]
    server = PageServer(store)
    with browser_on(cable, server) as opener, open_page(opener, server, "web:android:1") as device:
        info = device.info
        assert (info.key, info.kind) == ("web:android:1", "web")
        assert info.model.startswith("Chrome ")
        assert " on " in info.model
        assert info.os.startswith("Android ")
        execution = run(device, brief(Format.TFLITE, file, Delegate.XNNPACK), file, digits_inputs)
        assert execution.reply.failure is None
        assert execution.outputs is not None
        assert execution.reply.memory is None
        # The page is at the phone's own port, which leads to the port of this computer.
        (port,) = {link.split(":")[2].split("/")[0] for link in chrome.opened}
        assert int(port) != server.port
        # Chrome answers before the tab is gone.
        deadline = time.monotonic() + 20
        while any(f":{port}/" in url for url in chrome.tabs()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert devtools(cable, "/json/version")["Browser"].startswith("Chrome/")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(port)))


def test_a_phone_without_chrome_says_so(cable: Cable, store: Path) -> None:
    server = PageServer(store)
    with pytest.raises(PhoneError, match=r"has no Chrome .com\.android\.chrome.*install it"), browser_on(cable, server):
        pass
    server.close()
