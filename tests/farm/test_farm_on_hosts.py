"""A farm of real processes over mutual TLS: who is let in, what is measured, and what survives a kill."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest

from harness.errors import StoreError, UsageError
from harness.farm.calls import PROTOCOL, Announcement, Hello, Since
from harness.farm.certs import make_authority, make_certificate
from harness.farm.files import FileGoneError
from harness.farm.host_agent import AgentOptions, find_engine, read_status, serve_agent
from harness.farm.link import DepotError, JournalLostError, Link, join, own_hello, own_versions
from harness.farm.scheduler import SchedulerOptions, serve_scheduler
from harness.farm.server import SMALL_BYTES
from harness.farm.status import DeviceState
from harness.farm.tls import FarmPlace, server_context
from tests.farm.lab import Agents, Lab, missing_for_networks, running
from tests.farm.soak import HOUR_S, Blows, soak

pytest.importorskip("distributed")

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A scheduler and an agent with four phones."""
    with running(Lab(tmp_path_factory.mktemp("lab"), Agents(count=1, phones=4, seconds=0.0))) as running_lab:
        yield running_lab


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A folder with a certificate of another authority."""
    make_authority(tmp_path / "other")
    return make_certificate(tmp_path / "other", "stranger").folder


def test_the_farm_says_which_devices_it_has_and_what_they_are(lab: Lab) -> None:
    status = read_status(lab.place)
    assert [(one.key, one.host, one.state) for one in status.devices] == [
        (f"fake:{unit}", "rack0", DeviceState.IDLE) for unit in range(1, 5)
    ]
    assert status.devices[0].info is not None
    assert [(host.name, host.present, host.clock_s) for host in status.hosts] == [("rack0", True, 0.0)]


@pytest.mark.parametrize("port", [0, 1], ids=["depot", "queue"])
def test_a_peer_without_tls_is_refused(lab: Lab, port: int) -> None:
    with socket.create_connection(("127.0.0.1", lab.ports[port]), timeout=10) as plain:
        plain.sendall(b"POST /call/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert not plain.recv(100).startswith(b"HTTP")


@pytest.mark.parametrize("port", [0, 1], ids=["depot", "queue"])
def test_a_peer_without_a_certificate_is_refused(lab: Lab, port: int) -> None:
    context = ssl.create_default_context(cafile=str(lab.place.certs / "ca.pem"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        read_from(context, lab.ports[port])


@pytest.mark.parametrize("port", [0, 1], ids=["depot", "queue"])
def test_a_peer_of_another_authority_is_refused(lab: Lab, stranger: Path, port: int) -> None:
    context = ssl.create_default_context(cafile=str(lab.place.certs / "ca.pem"))
    context.load_cert_chain(stranger / "cert.pem", stranger / "key.pem")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        read_from(context, lab.ports[port])


def read_from(context: ssl.SSLContext, port: int) -> None:
    """Connect; with TLS 1.3 the other side's refusal arrives with the first read."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(b"POST /call/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        if not connection.recv(100):
            raise ConnectionError


def test_a_farm_of_another_authority_is_not_trusted(lab: Lab, stranger: Path) -> None:
    place = FarmPlace(host="localhost", port=lab.ports[0], certs=stranger)
    with pytest.raises(DepotError, match="was not made by our authority") as caught:
        read_status(place)
    assert caught.value.for_good


def test_a_certificate_that_has_expired_is_refused_by_the_farm(lab: Lab) -> None:
    past = make_certificate(lab.folder / "certs", "late", (), NOW - timedelta(days=400)).folder
    with pytest.raises(
        DepotError, match="closed the connection: .* when it ends, and both clocks|says that this host's certificate"
    ):
        read_status(FarmPlace(host="localhost", port=lab.ports[0], certs=past))


def test_a_farm_whose_certificate_has_expired_is_not_trusted(lab: Lab) -> None:
    make_certificate(lab.folder / "certs", "old", ["localhost"], NOW - timedelta(days=400))
    with serving(lab, always(own_hello()), certs="old") as port:
        place = FarmPlace(host="localhost", port=port, certs=lab.place.certs)
        with pytest.raises(DepotError, match="has expired: renew it on the scheduler's host and start") as caught:
            read_status(place)
    assert caught.value.for_good


def test_a_farm_whose_certificate_is_for_another_name_is_not_trusted(lab: Lab) -> None:
    with serving(lab, always(own_hello()), certs="rack") as port:
        place = FarmPlace(host="localhost", port=port, certs=lab.place.certs)
        with pytest.raises(DepotError, match="is for another name .* make it for this one with --for"):
            read_status(place)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"protocol": 0}, r"has other versions \(it is older\): protocol 0 there and 2 here; install the same"),
        ({"versions": {"phonebench": "0.0.1"}}, r"phonebench 0\.0\.1 there and .* here"),
        (
            {"versions": {**own_versions(), "distributed": "1"}},
            r"distributed 1 there and [\d.]+ here; install the same",
        ),
    ],
)
def test_a_scheduler_of_another_version_is_named(lab: Lab, changes: dict[str, object], sentence: str) -> None:
    hello = msgspec.convert(msgspec.to_builtins(own_hello()) | changes, Hello)
    with serving(lab, always(hello)) as port, pytest.raises(UsageError, match=sentence):
        join(Link(FarmPlace(host="localhost", port=port, certs=lab.place.certs)))


def test_a_clock_that_is_an_hour_late_is_reported_and_does_no_harm(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    hello = own_hello()
    late = Hello(protocol=PROTOCOL, versions=hello.versions, now_s=hello.now_s - HOUR_S, engine="1")
    with serving(lab, always(late)) as port:
        engine = find_engine(Link(FarmPlace(host="localhost", port=port, certs=lab.place.certs)))
    assert engine.address == "tls://localhost:1"
    assert "3600 s ahead of that of the farm: set it" in caplog.text


def test_what_is_no_farm_is_named(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]

        def answer() -> None:
            with plain.accept()[0] as peer:
                peer.sendall(b"220 mail.example.org\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(DepotError, match="does not speak TLS"):
            read_status(FarmPlace(host="localhost", port=port, certs=lab.place.certs))
        thread.join()


def test_a_farm_that_is_not_there_is_named(lab: Lab) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = FarmPlace(host="localhost", port=free.getsockname()[1], certs=lab.place.certs)
        with pytest.raises(DepotError, match="cannot be reached .*: check that its scheduler runs"):
            read_status(place)


def test_two_agents_never_share_a_folder(lab: Lab) -> None:
    options = AgentOptions(place=lab.place, data=lab.folder / "agent0")
    with pytest.raises(UsageError, match="another agent uses the folder"):
        serve_agent(options, print)


def test_a_file_travels_in_pieces_and_goes_on_where_it_stopped(lab: Lab, tmp_path: Path) -> None:
    link = Link(lab.place)
    data = random.Random(1).randbytes((9 << 20) + 7)
    digest = hashlib.sha256(data).hexdigest()
    source = tmp_path / "model.pte"
    source.write_bytes(data)
    # The first piece has arrived and the connection was lost then.
    headers = {"Content-Range": f"bytes 0-{(4 << 20) - 1}/{len(data)}"}
    assert link._progress("PUT", digest, headers, data[: 4 << 20]) == 4 << 20
    assert link._progress("HEAD", digest, {}) == 4 << 20
    link.offer(source, digest)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / f".{digest}.part").write_bytes(data[:12345])
    assert link.fetch(digest, tmp_path / "here").read_bytes() == data
    link.close()


def test_a_connection_that_ends_in_the_middle_of_a_file_costs_no_byte_twice(lab: Lab, tmp_path: Path) -> None:
    data = random.Random(2).randbytes(3 << 20)
    sent: list[tuple[int, int]] = []

    class Breaking(BaseHTTPRequestHandler):
        """Sends at most a megabyte of what was asked for, then hangs up."""

        def do_GET(self) -> None:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            piece = data[start : start + (1 << 20)]
            sent.append((start, len(piece)))
            self.send_response(206)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(piece)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    digest = hashlib.sha256(data).hexdigest()
    with serving(lab, Breaking) as port:
        link = Link(FarmPlace(host="localhost", port=port, certs=lab.place.certs))
        assert link.fetch(digest, tmp_path).read_bytes() == data
        link.close()
    assert sent == [(0, 1 << 20), (1 << 20, 1 << 20), (2 << 20, 1 << 20)]


def test_half_a_file_that_was_damaged_on_the_way_is_fetched_again(lab: Lab, tmp_path: Path) -> None:
    link, source = Link(lab.place), tmp_path / "model"
    source.write_bytes(b"weights" * 1000)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    link.offer(source, digest)
    (tmp_path / f".{digest}.part").write_bytes(b"rubbish")
    assert link.fetch(digest, tmp_path).read_bytes() == source.read_bytes()
    link.close()


def test_a_file_that_is_damaged_at_the_depot_is_as_good_as_gone(lab: Lab, tmp_path: Path) -> None:
    link, source = Link(lab.place), tmp_path / "model"
    source.write_bytes(b"other weights" * 1000)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    link.offer(source, digest)
    stored = lab.folder / "depot" / "files" / digest
    stored.write_bytes(b"rubbish")
    with pytest.raises(FileGoneError, match="it is damaged"):
        link.fetch(digest, tmp_path / "files")
    stored.unlink()
    with pytest.raises(FileGoneError, match="removed, or never sent"):
        link.fetch(digest, tmp_path / "files")
    link.close()


def test_a_digest_that_is_a_path_fetches_no_file_of_this_host(lab: Lab, tmp_path: Path) -> None:
    link, secret = Link(lab.place), tmp_path / "secret"
    secret.write_bytes(b"a private key")
    for name in (str(secret), "../secret"):
        with pytest.raises(StoreError, match="not a plain name"):
            link.fetch(name, tmp_path / "files")
    link.close()


def test_small_files_travel_together(lab: Lab, tmp_path: Path) -> None:
    link = Link(lab.place)
    files = [b"one", b"", b"three", random.Random(3).randbytes(SMALL_BYTES + 1)]
    digests = [hashlib.sha256(data).hexdigest() for data in files]
    for data, digest in zip(files, digests, strict=True):
        (tmp_path / "source").write_bytes(data)
        link.offer(tmp_path / "source", digest)
    link.prefetch([*digests, "0" * 64], tmp_path / "here")
    assert {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()} == dict(
        zip(digests[:3], files[:3], strict=True)
    )
    assert link.fetch(digests[3], tmp_path / "here").read_bytes() == files[3]
    link.close()


def test_a_farm_whose_folder_was_emptied_says_so(lab: Lab) -> None:
    link = Link(lab.place)
    with pytest.raises(JournalLostError, match="was emptied"):
        link.events(Since(run="night", after=1, wait_s=30))
    link.close()


def test_two_schedulers_never_share_a_folder(lab: Lab) -> None:
    options = SchedulerOptions(certs=lab.folder / "certs" / "scheduler", data=lab.folder / "depot", port=0)
    with pytest.raises(UsageError, match="another scheduler uses the folder"):
        serve_scheduler(options, print)


def test_an_empty_file_travels(lab: Lab, tmp_path: Path) -> None:
    link, source = Link(lab.place), tmp_path / "empty"
    source.touch()
    digest = hashlib.sha256(b"").hexdigest()
    link.offer(source, digest)
    assert link.fetch(digest, tmp_path / "here").read_bytes() == b""
    link.close()


def test_an_agent_whose_name_another_one_has_taken_over_does_not_wait(lab: Lab) -> None:
    link = Link(lab.place)
    for process in ("first", "second"):
        link.announce(Announcement(agent="twin", process=process, devices=()))
    with pytest.raises(DepotError, match="another agent has joined the farm as 'twin'") as caught:
        link.announce(Announcement(agent="twin", process="first", devices=()))
    assert caught.value.for_good
    link.close()


def always(hello: Hello) -> type[BaseHTTPRequestHandler]:
    """Return what gives one answer to every question."""
    answer = msgspec.json.encode(hello)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


class serving:  # noqa: N801  reads as what it does
    """Serve answers behind the certificate of a member of the farm; yields the port."""

    def __init__(self, lab: Lab, handler: type[BaseHTTPRequestHandler], certs: str = "scheduler") -> None:
        class Quiet(HTTPServer):
            def handle_error(self, *_: object) -> None:
                """Say nothing about a peer that leaves."""

        self._server = Quiet(("127.0.0.1", 0), handler)
        context = server_context(lab.folder / "certs" / certs)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> int:
        self._thread.start()
        port: int = self._server.server_address[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def test_no_cell_is_lost_or_stored_twice_while_agents_scheduler_owner_and_links_are_struck(tmp_path: Path) -> None:
    reason = missing_for_networks()
    if reason is not None:
        pytest.skip(reason)
    farm = Lab(tmp_path, Agents(count=2, phones=4, seconds=0.1), networks=True, skew_s=(HOUR_S, -HOUR_S))
    blows = Blows(count=5, links=True, pause_s=(0.5, 1.5))
    with running(farm):
        tally = soak(farm, 38, blows, random.Random(3), most_s=300)
    assert (tally.lost, tally.twice, tally.beside) == ((), (), ())
    assert tally.cells == 304
