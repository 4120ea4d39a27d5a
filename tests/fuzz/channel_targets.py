"""What is fuzzed of the programs that phonebench speaks with: adb, usbmuxd, browsers, boards, farms, clouds."""

from __future__ import annotations

import base64
import contextlib
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import PhonebenchError
from tests.fuzz.speaker import Speaker
from tests.fuzz.target import Target, as_certificate, new_folder, on_file


def _adb_server() -> Target:
    from harness.devices.android.adb.link import Server
    from harness.devices.android.adb.server import list_phones, server_version

    speaker = Speaker()
    server = Server(port=speaker.port)

    def read(data: bytes) -> object:
        speaker.says(data)
        try:
            return list_phones(server)
        finally:
            server_version(server)

    listed = b"emulator-5554          device product:sdk model:Pixel_8 device:emu64x transport_id:1\n"
    return Target(
        name="adb-server",
        read=read,
        refuses=(PhonebenchError,),
        seeds=lambda: [b"OKAY%04x" % len(listed) + listed, b"OKAY00040029", b"FAIL000bno devices!"],
    )


def _adb_shell() -> Target:
    from harness.devices.android.adb.cable import Cable
    from harness.devices.android.adb.link import Server

    speaker = Speaker()
    cable = Cable(Server(port=speaker.port), "phone")
    speaker.says(b"OKAY0008shell_v2")
    cable.features()

    def read(data: bytes) -> object:
        speaker.says(b"OKAYOKAY" + data)
        return cable.check("id")

    def seeds() -> list[bytes]:
        packets = ((1, b"uid=2000(shell)\n"), (2, b"a warning"), (3, b"\0"))
        return [b"".join(struct.pack("<BI", kind, len(data)) + data for kind, data in packets)]

    return Target(name="adb-shell", read=read, refuses=(PhonebenchError,), seeds=seeds)


def _adb_sync() -> Target:
    from harness.devices.android.adb import sync
    from harness.devices.android.adb.deadline import within
    from harness.devices.android.adb.link import Link, Server

    speaker, folder = Speaker(), new_folder()
    (folder / "sent").write_bytes(bytes(100))

    def read(data: bytes) -> object:
        speaker.says(data[1:])
        kind, v2 = data[0] % 3 if data else 0, bool(data and data[0] & 128)
        with Link(Server(port=speaker.port), within(5.0), serial="phone", purpose="sync") as link:
            if kind == 0:
                return sync.file_size(link, "/x", v2=v2)
            if kind == 1:
                return sync.receive_file(link, "/x", folder / "received", v2=v2)
            sync.send_file(link, folder / "sent", "/x", v2=v2)
            return None

    def seeds() -> list[bytes]:
        done = struct.pack("<4sI", b"DONE", 0)
        return [
            b"\0" + struct.pack("<4s3I", b"STAT", 0o100644, 9, 1),
            b"\x81" + struct.pack("<4sI", b"DATA", 5) + b"hello" + done,
            b"\x82" + struct.pack("<4sI", b"FAIL", 4) + b"full",
            b"\x81" + struct.pack("<4sIQQIIIIQqqq", b"STA2", 0, 1, 1, 0o100644, 1, 0, 0, 9, 1, 1, 1),
        ]

    return Target(name="adb-sync", read=read, refuses=(PhonebenchError,), seeds=seeds)


def _phone_chrome() -> Target:
    from harness.devices.android.adb.cable import Cable
    from harness.devices.android.adb.link import Server
    from harness.devices.web.on_phone import devtools, tabs_at

    speaker = Speaker()
    cable = Cable(Server(port=speaker.port), "phone")

    def read(data: bytes) -> object:
        speaker.says(b"OKAYOKAY" + data)
        return tabs_at(devtools(cable, "/json/list"), "http://localhost:1/")

    body = b'[{"id": "A1", "type": "page", "url": "http://localhost:1/secret/"}]'
    return Target(
        name="phone-chrome",
        read=read,
        refuses=(PhonebenchError, ValueError),
        seeds=lambda: [b"HTTP/1.1 200 OK\r\nContent-Length:%d\r\n\r\n" % len(body) + body],
    )


def _browser_message() -> Target:
    from harness.devices.web.devtools import read_message

    return Target(
        name="browser-message",
        read=read_message,
        refuses=(ValueError,),
        seeds=lambda: [
            b'{"id": 1, "result": {"targetInfos": [{"targetId": "x", "type": "page"}]}}',
            b'{"id": 2, "error": {"code": -32000, "message": "no such target"}}',
            b'{"method": "Target.targetCrashed", "params": {"status": "oom"}, "sessionId": "x"}',
        ],
    )


def _page_facts() -> Target:
    from harness.devices.web.probe import browser_name, read_facts, system_name

    def read(data: bytes) -> object:
        facts = read_facts(data)
        return browser_name(facts.user_agent), system_name(facts.user_agent)

    facts = {
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/1",
        "isolated": True,
        "clock_step_ns": 5000,
        "cores": 8,
        "memory_gib": 8,
        "simd": True,
        "gpu": "",
        "webnn": "",
    }
    return Target(name="page-facts", read=read, refuses=(PhonebenchError,), seeds=lambda: [json.dumps(facts).encode()])


def _usbmux() -> Target:
    from harness.devices.ios.usbmux import choose_phone, list_phones

    speaker = Speaker()
    environment = {"USBMUXD_SOCKET_ADDRESS": f"127.0.0.1:{speaker.port}"}

    def read(data: bytes) -> object:
        speaker.says(data)
        return choose_phone(list_phones(environment), "")

    def seeds() -> list[bytes]:
        import plistlib

        phones = [{"Properties": {"SerialNumber": "00008101-1", "ConnectionType": way}} for way in ("USB", "Network")]
        answers = [plistlib.dumps({"DeviceList": phones}, fmt=fmt) for fmt in plistlib.PlistFormat]
        return [struct.pack("<IIII", 16 + len(data), 1, 8, 1) + data for data in answers]

    return Target(name="usbmux", read=read, refuses=(PhonebenchError,), seeds=seeds)


BOARD_FACTS: Mapping[str, Any] = {
    "system": "Linux",
    "machine": "aarch64",
    "bits": 64,
    "libc": "glibc 2.36",
    "python": "3.11.2",
    "implementation": "cpython",
    "kernel": "6.1",
    "os": "Debian",
    "model": "Raspberry Pi 5",
    "cpuinfo": {"model name": None, "Model": "x", "CPU part": "0xd0b", "flags": None, "Features": "fp asimd"},
    "parts": ["0xd0b"],
    "cores": 4,
    "memory_bytes": 8 << 30,
    "container": False,
    "free_bytes": 9 << 30,
    "store": "/home/x/.cache/phonebench",
    "fan": True,
    "max_khz": {"0": 2400000, "3": 1800000},
    "power_mode": None,
    "power": "power of the board: watts, idle power is in it",
    "user": "x",
    "throttled": 0x50005,
}


def _board_answer() -> Target:
    from harness.devices.cores import cores_in, mask_of
    from harness.devices.ssh import facts as board
    from harness.devices.ssh.answers import read_answer
    from harness.devices.ssh.wheels import target_of
    from harness.spec.phone_settings import Cores

    state = {"temperatures_c": {"soc": 50.5}, "governor": "ondemand", "load_1m": 0.5, "throttled": 0}

    def read(data: bytes) -> object:
        names = ("open", "ready", "have", "read", "wait", "put")
        question = names[data[0] % len(names)] if data else names[0]
        answer = read_answer("pi", data[1:], question)
        if question == "ready":
            return board.readiness_of(answer), board.conditions_of(BOARD_FACTS, answer)
        if question != "open":
            return answer
        facts = answer["facts"]
        mask = mask_of({int(core): khz for core, khz in facts["max_khz"].items()}, Cores.BIG)
        board.check_facts("pi", facts)
        board.conditions_of(facts, state)
        return board.info_of("ssh:pi", facts, {}), cores_in(mask or "0"), target_of(facts).pip_options()

    def seeds() -> list[bytes]:
        answers = ({"facts": BOARD_FACTS}, state | {"busy": 0.1, "probe_ns": 9}, {"missing": ["a"]}, {"size": 9})
        ends = ({"code": 0, "problem": "", "took_ns": 5, "log": "x"}, {"error": "full", "what": "1 MiB free"})
        return [bytes([at]) + json.dumps(answer).encode() for at, answer in enumerate((*answers, *ends))]

    return Target(name="board-answer", read=read, refuses=(PhonebenchError,), seeds=seeds)


def _lent_phones() -> Target:
    from harness.leases.stf import Stf
    from harness.leases.web import Place

    speaker = Speaker()
    farm = Stf(Place(host="127.0.0.1", port=speaker.port, secure=False, token="x", timeout_s=5.0))

    def read(data: bytes) -> object:
        speaker.says(data[1:])
        return farm.list() if data[:1] == b"l" else farm.acquire("p1", 60.0)

    def seeds() -> list[bytes]:
        listed = {"success": True, "devices": [{"serial": "p1", "model": "Pixel", "ready": True, "owner": None}]}
        bodies = (listed, {"success": True, "remoteConnectUrl": "lab1:7400"}, {"success": False, "description": "no"})
        texts = [json.dumps(body).encode() for body in bodies]
        heads = [
            b"%cHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (kind, len(t))
            for kind, t in zip(b"laa", texts, strict=True)
        ]
        return [head + text for head, text in zip(heads, texts, strict=True)]

    return Target(name="lent-phones", read=read, refuses=(PhonebenchError,), seeds=seeds)


def _farm_question() -> Target:
    import msgspec

    from harness.farm.calls import Announcement, Claim, Dropped, Outcome, Queue, QueuedCell
    from harness.farm.depot import Depot
    from harness.farm.server import CALLS
    from harness.system.decoding import decode_json

    names = sorted(CALLS)
    depots = [Depot(new_folder() / "depot")]

    def read(data: bytes) -> object:
        kind, answer = CALLS[names[data[0] % len(names)]] if data else CALLS[names[0]]
        return answer(depots[0], decode_json(data[1:], kind))

    def seeds() -> list[bytes]:
        said = {
            "announce": Announcement(agent="a", process="p", devices=()),
            "claim": Claim(run="r", cell="c", device="fake:1", agent="a"),
            "deliver": Outcome(run="r", cell="c", device="fake:1", agent="a", attempt=1, seconds=1.0, reason="x"),
            "queue": Queue(run="r", user="u", cells=(QueuedCell(cell="c", device="fake:1"),)),
            "drop": Dropped(run="r"),
        }
        return [bytes([names.index(name)]) + msgspec.json.encode(value) for name, value in said.items()]

    return Target(name="farm-question", read=read, refuses=(PhonebenchError, ValueError), seeds=seeds)


class _Nowhere:
    def keep(self, data: bytes, suffix: str) -> str:
        return f"{len(data)}{suffix}"


def _parcel() -> Target:
    from harness.farm.parcel import ParcelError, ParcelWriter, unpack, unpack_pairs
    from harness.measure.job import Ran, Seen

    def read(path: Path) -> object:
        with contextlib.suppress(ParcelError):
            unpack_pairs(path, _Nowhere())
        return unpack(path, _Nowhere())

    def seeds() -> list[bytes]:
        writer = ParcelWriter(new_folder())
        writer.keep(b"hello", ".json")
        ran = Ran(started_at="a", ended_at="b", seen=Seen(), good=False, operators=None)
        return [writer.finish("r", "c", ran).read_bytes()]

    return Target(name="parcel", read=on_file(".parcel", read), refuses=(PhonebenchError,), seeds=seeds)


def _cloud_answer() -> Target:
    from harness.clouds.catalog import models_in
    from harness.clouds.firebase import progress_of
    from harness.clouds.gcloud import access_in, json_of

    def read(data: bytes) -> object:
        answer = json_of("it", data.decode(errors="replace"))
        if isinstance(answer, list):
            return models_in(answer)
        if isinstance(answer, dict) and "state" in answer:
            return progress_of(answer)
        return access_in(answer, "")

    def seeds() -> list[bytes]:
        configuration = {"properties": {"core": {"project": "p"}, "api_endpoint_overrides": {}}}
        phone = {"id": "oriole", "name": "Pixel 6", "manufacturer": "Google", "supportedVersionIds": ["31"]}
        matrix = {"state": "FINISHED", "outcomeSummary": "FAILURE", "testExecutions": [{"state": "RUNNING"}]}
        login = {"configuration": configuration, "credential": {"access_token": "x"}}
        return [json.dumps(answer).encode() for answer in (login, [phone], matrix)]

    return Target(name="cloud-answer", read=read, refuses=(PhonebenchError,), seeds=seeds)


def _farm_certificate() -> Target:
    from harness.farm.certs import make_authority, make_certificate, read_certificate

    root = new_folder()
    make_authority(root)
    folder = make_certificate(root, "host").folder
    good = (folder / "cert.pem").read_bytes()

    def read(data: bytes) -> object:
        # PEM hides the bytes in Base64, through which no fuzzer sees.
        (folder / "cert.pem").write_bytes(as_certificate(data))
        return read_certificate(folder)

    def seeds() -> list[bytes]:
        return [base64.b64decode(b"".join(good.splitlines()[1:-1]))]

    return Target(name="farm-certificate", read=read, refuses=(PhonebenchError,), seeds=seeds)


CHANNEL_TARGETS: dict[str, Callable[[], Target]] = {
    "adb-server": _adb_server,
    "adb-shell": _adb_shell,
    "adb-sync": _adb_sync,
    "phone-chrome": _phone_chrome,
    "browser-message": _browser_message,
    "page-facts": _page_facts,
    "usbmux": _usbmux,
    "board-answer": _board_answer,
    "lent-phones": _lent_phones,
    "farm-question": _farm_question,
    "farm-certificate": _farm_certificate,
    "parcel": _parcel,
    "cloud-answer": _cloud_answer,
}
