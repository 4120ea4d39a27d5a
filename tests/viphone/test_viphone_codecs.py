"""The codecs, with right values from recordings of real phones, from RFCs, and from openssl."""

from __future__ import annotations

import hashlib
import json
import plistlib
import re
import socket
import struct
import subprocess
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.viphone import afc, dtx, http2, tcp, usbmuxd, xpc
from tests.viphone.apps import wait_until
from tests.viphone.archive import NSDate, NSError, archive, unarchive
from tests.viphone.cable import Cable
from tests.viphone.der import Certificate, RsaKey, signed_content
from tests.viphone.installer import STAGES
from tests.viphone.ipa import read_profile, read_slices
from tests.viphone.ipamaker import IpaMaker, IpaPlan, mach_o
from tests.viphone.iphone import VirtualIPhone
from tests.viphone.link import HungUpError, Link
from tests.viphone.state import IPhoneState
from tests.viphone.storage import Storage
from tests.viphone.trust import DeviceKey

RECORDED: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden/ios/recorded.json").read_text())


def test_what_usbmuxd_says_is_as_recorded(daemon: usbmuxd.Usbmuxd, iphone: VirtualIPhone) -> None:
    _, listed = RECORDED["usbmux"]
    host, _, port = daemon.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        data = plistlib.dumps({"MessageType": "ListDevices"})
        client.sendall(struct.pack("<IIII", 16 + len(data), 1, 8, listed["header"][3]) + data)
        head = struct.unpack("<IIII", client.recv(16, socket.MSG_WAITALL))
        said = plistlib.loads(client.recv(head[0] - 16, socket.MSG_WAITALL))
    (device,) = said["DeviceList"]
    assert [*head[1:], list(said)] == [*listed["header"][1:], listed["keys"]]
    assert (sorted(device), sorted(device["Properties"])) == (listed["device_keys"], listed["property_keys"])
    assert device["Properties"]["SerialNumber"] == iphone.state.udid


@pytest.fixture
def daemon(usbmuxd: usbmuxd.Usbmuxd) -> usbmuxd.Usbmuxd:
    return usbmuxd


@pytest.fixture
def session(tmp_path: Path) -> afc.AfcSession:
    storage = Storage(tmp_path, IPhoneState())
    return afc.AfcSession(storage.media, storage)


def ask(session: afc.AfcSession, op: afc.Op, fields: bytes = b"", payload: bytes = b"") -> tuple[int, int, int, bytes]:
    """The sizes, the operation and the body of an answer."""
    said = session.answer(afc.Request(number=7, op=op, fields=fields, payload=payload))
    magic, whole, head, number, answered = afc.HEADER.unpack_from(said)
    assert (magic, number, len(said)) == (b"CFA6LPAA", 7, whole)
    return whole, head, answered, said[afc.HEADER.size :]


def test_answers_of_afc_are_as_recorded(session: afc.AfcSession, tmp_path: Path) -> None:
    success, folder, info = RECORDED["afc"]
    (tmp_path / "Media/PublicStaging").rmdir()
    for name in folder["names"][2:]:
        whole, head, op, body = ask(session, afc.Op.MAKE_DIR, name.encode() + b"\0")
        assert (whole, head, op, body.hex()) == tuple(success[key] for key in ("whole", "head", "operation", "fields"))
    whole, head, op, body = ask(session, afc.Op.READ_DIR, b"/\0")
    assert (whole, head, op, body.decode().split("\0")[:-1]) == (
        *(folder[key] for key in ("whole", "head", "operation")),
        folder["names"],
    )
    _, head, op, body = ask(session, afc.Op.GET_FILE_INFO, b"Books\0")
    words = body.decode().split("\0")[:-1]
    assert (head, op, words[::2], words[7]) == (info["head"], info["operation"], list(info["pairs"]), "S_IFDIR")


def test_afc_stays_below_its_root(session: afc.AfcSession, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    assert ask(session, afc.Op.GET_FILE_INFO, b"/../secret\0")[3] == struct.pack("<Q", afc.Status.PERMISSION_DENIED)
    assert ask(session, afc.Op.GET_FILE_INFO, b"/secret\0")[3] == struct.pack("<Q", afc.Status.NOT_FOUND)


def test_afc_renames_truncates_and_removes(session: afc.AfcSession, tmp_path: Path) -> None:
    file = tmp_path / "Media/PublicStaging/a"
    file.write_bytes(b"0123456789")
    ok = struct.pack("<Q", 0)
    assert ask(session, afc.Op.RENAME_PATH, b"PublicStaging/a\0b\0")[3] == ok
    assert ask(session, afc.Op.TRUNCATE, struct.pack("<Q", 4) + b"b\0")[3] == ok
    assert (tmp_path / "Media/b").read_bytes() == b"0123"
    assert ask(session, afc.Op.SET_FILE_TIME, struct.pack("<Q", 10**18) + b"b\0")[3] == ok
    assert (tmp_path / "Media/b").stat().st_mtime_ns == 10**18
    assert ask(session, afc.Op.REMOVE_PATH, b"PublicStaging\0")[3] == ok
    assert ask(session, 0x99, b"b\0")[3] == struct.pack("<Q", afc.Status.NOT_SUPPORTED)  # type: ignore[arg-type]


def test_the_stages_of_an_install_are_as_recorded() -> None:
    assert [list(stage) for stage in STAGES] == RECORDED["install"]


@pytest.mark.parametrize("row", RECORDED["dtx"], ids=[row["what"] for row in RECORDED["dtx"]])
def test_messages_of_dtx_have_the_recorded_layout(row: dict[str, Any]) -> None:
    _, _, _, _, size, number, conversation, channel, flags = row["fragment"]
    arguments = ({"com.apple.instruments.target.ios": 150201},) * row.get("arguments", 0)
    message = dtx.Message(
        kind=row["kind"],
        number=number,
        conversation=conversation,
        channel=channel,
        expects_reply=bool(flags),
        payload=row.get("payload"),
        arguments=arguments,
    )
    encoded = message.encode()
    head = dtx.FRAGMENT.unpack_from(encoded)
    # The size of the two long ones depends on what they carry; that of the others must be the recorded one.
    fields = [at for at in range(9) if at != 4 or size < 200]
    assert [head[at] for at in fields] == [row["fragment"][at] for at in fields]
    assert dtx.decode_message(head, encoded[32:]) == message


def test_a_long_message_of_dtx_comes_back_from_its_fragments() -> None:
    message = dtx.Message(kind=dtx.Kind.OBJECT, number=3, payload="x" * 200_000)
    here, there = socket.socketpair()
    with here, there:
        threading.Thread(target=here.sendall, args=(message.encode(),), daemon=True).start()
        assert dtx.receive_message(Link(there, Cable())) == message
    assert [dtx.FRAGMENT.unpack_from(message.encode())[at] for at in (2, 3)] == [0, 5]


ARGUMENTS = (1, -5, "text", b"bytes", None, True, 2.5, ["a", 1], {"k": {"deep": [1]}}, NSDate(at_s=1e9))


@pytest.mark.parametrize("value", ARGUMENTS, ids=[str(number) for number in range(len(ARGUMENTS))])
def test_an_object_comes_back_from_its_archive(value: Any) -> None:
    assert unarchive(archive(value)) == value


def test_an_error_comes_back_with_the_one_below_it() -> None:
    below = NSError(domain="FBSOpenApplicationErrorDomain", code=7, info={"NSLocalizedDescription": "Locked"})
    error = NSError(domain="d", code=2, info={"NSUnderlyingError": below})
    assert unarchive(archive(error)) == error


@pytest.mark.parametrize("data", [b"", b"bplist00", b"no archive", archive(1)[:-9]])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not an archive"):
        unarchive(data)


def test_objects_of_xpc_come_back() -> None:
    value = {"a": [1, -1, xpc.Unsigned(2**63), "text", b"\0\1\2", None, True, 1.5, uuid.UUID(int=7)], "bb": {}}
    data = bytearray(xpc.Message(flags=0x101, number=9, body=value).encode())
    whole = bytes(data)
    assert all(xpc.take_message(bytearray(whole[:size])) is None for size in range(len(whole)))
    assert xpc.take_message(data) == xpc.Message(flags=0x101, number=9, body=value)
    assert data == b""


def test_an_xpc_dictionary_has_the_published_layout() -> None:
    # Kind, bytes, count; a key padded to four bytes; kind, length with the zero, and the text padded to four bytes.
    assert xpc.encode({"k": "ab"}).hex() == "00f00000" + "14000000" + "01000000" + "6b000000" + "00900000" + (
        "03000000" + "61620000"
    )


def test_the_checksum_is_that_of_rfc_1071() -> None:
    # The example of section 3 sums to ddf2; the checksum is its complement.
    assert tcp.checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF
    assert tcp.checksum(b"\x01") == ~0x0100 & 0xFFFF


def test_a_packet_sums_to_zero_with_its_own_checksum() -> None:
    here, there = bytes(15) + b"\1", bytes(15) + b"\2"
    segment = tcp.Segment(source=1, target=2, number=3, acknowledged=4, flags=0x18, window=5, data=b"odd")
    packet = segment.packet(here, there)
    body = packet[40:]
    assert tcp.checksum(here + there + struct.pack("!II", len(body), 6) + body) == 0
    assert tcp.Segment.decode(body) == segment


class Peer:
    """The computer's end of a tunnel, for one connection: it sends segments and keeps what comes back."""

    def __init__(self) -> None:
        self.came: list[tcp.Segment] = []
        self.opened: list[tcp.Connection] = []
        self.stack = tcp.Stack(
            "fd00::1", "fd00::2", self._take, lambda port: self.opened.append if port == 80 else None
        )

    def _take(self, packet: bytes) -> None:
        self.came.append(tcp.Segment.decode(packet[40:]))

    def send(self, flags: int, number: int, *, data: bytes = b"", port: int = 80, **more: Any) -> tcp.Segment:
        last = self.came[-1] if self.came else None
        counted = len(last.data) + bool(last.flags & tcp.SYN) + bool(last.flags & tcp.FIN) if last else 0
        acknowledged = last.number + counted if last else 0
        segment = tcp.Segment(
            source=9,
            target=port,
            number=number,
            acknowledged=acknowledged,
            flags=flags,
            data=data,
            **{"window": 999} | more,
        )
        ends = [socket.inet_pton(socket.AF_INET6, name) for name in ("fd00::2", "fd00::1")]
        packet = segment.packet(*ends)
        self.stack.take(packet[:40], packet[40:])
        return self.came[-1]


def test_a_connection_opens_carries_bytes_and_ends() -> None:
    peer = Peer()
    answer = peer.send(tcp.SYN, 100, mss=1400, scale=7)
    assert (answer.flags, answer.acknowledged, answer.scale) == (tcp.SYN | tcp.ACK, 101, tcp.SCALE)
    peer.send(tcp.ACK, 101)
    assert peer.send(tcp.ACK, 101, data=b"hello").acknowledged == 106
    # What came before is no news, and what is missing is asked for again.
    assert peer.send(tcp.ACK, 101, data=b"hello").acknowledged == 106
    assert peer.send(tcp.ACK, 999, data=b"later").acknowledged == 106
    (connection,) = peer.opened
    assert connection.recv(99) == b"hello"
    connection.sendall(b"x" * 2000)
    assert [len(one.data) for one in peer.came if one.data] == [1400, 600]
    assert peer.send(tcp.FIN | tcp.ACK, 106).acknowledged == 107
    assert connection.recv(99) == b""
    connection.close()
    peer.send(tcp.ACK, 107, window=0)
    assert connection.over


def test_a_port_where_nobody_listens_is_refused() -> None:
    answer = Peer().send(tcp.SYN, 5, port=81)
    assert (answer.flags, answer.acknowledged) == (tcp.RST | tcp.ACK, 6)


def test_a_sender_waits_for_the_window() -> None:
    peer = Peer()
    peer.send(tcp.SYN, 0, mss=1400, window=10)
    peer.send(tcp.ACK, 1, window=10)
    (connection,) = peer.opened
    sender = threading.Thread(target=connection.sendall, args=(b"0123456789abc",), daemon=True)
    sender.start()
    assert wait_until(lambda: bool(peer.came[-1].data))
    assert peer.came[-1].data == b"0123456789"
    peer.send(tcp.ACK, 1, window=10)
    sender.join(10)
    assert peer.came[-1].data == b"abc"


def test_what_is_not_acknowledged_is_sent_again() -> None:
    peer = Peer()
    peer.send(tcp.SYN, 0, mss=1400)
    peer.send(tcp.ACK, 1)
    (connection,) = peer.opened
    connection.sendall(b"lost")
    sent = len(peer.came)
    assert wait_until(lambda: len(peer.came) > sent)
    assert (peer.came[sent - 1].data, peer.came[sent].data, peer.came[sent].number) == (
        *(b"lost", b"lost"),
        peer.came[sent - 1].number,
    )
    peer.send(tcp.ACK, 1)
    connection.resend()
    connection.resend()
    quiet = len(peer.came)
    connection.resend()
    assert len(peer.came) == quiet
    peer.stack.close()


def test_a_reset_wakes_who_waits() -> None:
    peer = Peer()
    peer.send(tcp.SYN, 0)
    peer.send(tcp.RST, 1)
    with pytest.raises(ConnectionResetError):
        peer.opened[0].recv(1)


def test_certificates_are_checked_as_openssl_makes_them(device_key: DeviceKey, tmp_path: Path) -> None:
    def openssl(*words: str) -> bytes:
        return subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60, cwd=tmp_path).stdout

    key = str(device_key.private)
    openssl("req", "-x509", "-key", key, "-subj", "/CN=root", "-sha256", "-out", "root.pem")
    certificate = Certificate.decode((tmp_path / "root.pem").read_bytes())
    own = RsaKey.decode(device_key.public_pem)
    modulus = openssl("rsa", "-in", key, "-noout", "-modulus").decode().strip().removeprefix("Modulus=")
    assert (f"{own.modulus:X}", own.exponent) == (modulus, 65537)
    assert certificate.key == own
    assert certificate.signed_by(own)
    assert not certificate.signed_by(RsaKey(modulus=own.modulus + 2, exponent=65537))
    fingerprint = openssl("x509", "-in", "root.pem", "-noout", "-fingerprint", "-sha256").decode()
    assert hashlib.sha256(certificate.whole).hexdigest().upper() == fingerprint.split("=")[1].strip().replace(":", "")


def test_a_profile_says_what_openssl_reads_in_it(ipas: IpaMaker, tmp_path: Path) -> None:
    data = ipas.profile(IpaPlan(devices=("one", "two")))
    (tmp_path / "p").write_bytes(data)
    words = ["openssl", "smime", "-verify", "-noverify", "-inform", "der", "-in", str(tmp_path / "p")]
    said = subprocess.run(words, check=True, capture_output=True, timeout=60).stdout
    assert signed_content(data) == said
    profile = read_profile(data)
    assert (profile.devices, profile.all_devices) == (("one", "two"), False)
    assert profile.entitlements["get-task-allow"] is True


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (IpaPlan(), ("arm64", "ios", True)),
        (IpaPlan(signed=False), ("arm64", "ios", False)),
        (IpaPlan(simulator=True, architecture="x86_64"), ("x86_64", "ios-simulator", True)),
    ],
    ids=["signed", "unsigned", "simulator"],
)
def test_what_a_program_was_built_for(plan: IpaPlan, said: tuple[str, str, bool]) -> None:
    (part,) = read_slices(mach_o(plan))
    assert (part.architecture, part.platform, part.signed) == said


def test_a_fat_program_has_several_parts() -> None:
    parts = [mach_o(IpaPlan()), mach_o(IpaPlan(architecture="x86_64", simulator=True))]
    at, table, body = 8 + 20 * len(parts), b"", b""
    for part in parts:
        table += struct.pack(">IIIII", 0, 0, at + len(body), len(part), 0)
        body += part
    fat = struct.pack(">II", 0xCAFEBABE, len(parts)) + table + body
    assert [part.architecture for part in read_slices(fat)] == ["arm64", "x86_64"]
    assert read_slices(b"#!/bin/sh") == ()


@pytest.mark.parametrize("allowed", [0, 1, 5, 6, 20])
def test_the_cable_breaks_at_exactly_that_byte(allowed: int) -> None:
    here, there = socket.socketpair()
    cable = Cable(drop_after_bytes=allowed)
    with here, there:
        link = Link(there, cable)
        for _ in range(max(allowed - 1, 0) // 3):
            link.send(b"xxx")
        with pytest.raises(ConnectionError, match="pulled"):
            link.send(b"xxx")
        there.close()
        assert here.recv(99) == b"x" * allowed
    assert cable.passed_bytes == allowed


def test_a_length_that_is_no_length_ends_the_connection() -> None:
    here, there = socket.socketpair()
    with here, there:
        here.sendall(b"\xff\xff\xff\xff")
        with pytest.raises(HungUpError, match="no message"):
            Link(there, Cable()).receive_plist()


def test_what_does_not_speak_http2_is_refused() -> None:
    here, there = socket.socketpair()
    with here, there:
        here.sendall(b"GET / HTTP/1.1\r\nHost: iphone\r\n\r\n")
        with pytest.raises(HungUpError, match="HTTP/2"):
            http2.XpcServer(Link(there, Cable()), lambda *_: None).serve()


def test_lines_of_the_log_look_as_recorded() -> None:
    assert re.fullmatch(r"\0\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ \w+\[\d+\] <Notice>: .*\n\0", RECORDED["syslog"])
