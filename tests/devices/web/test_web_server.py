"""The server of the page answers only who knows its secret, asks by its own name, and has the current job."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.devices.web.server import Event, Happening, PageServer, WebJob


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PageServer]:
    served = PageServer(tmp_path)
    yield served
    served.close()


@pytest.fixture
def job(tmp_path: Path) -> WebJob:
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "inputs.bin").write_bytes(bytes(range(10)))
    (tmp_path / "secret.txt").write_text("not for the page")
    return WebJob(folder=folder, answers={"echo": lambda text: f'"{text}"'.encode()})


def ask(
    server: PageServer, path: str, *, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b""
) -> tuple[int, bytes, http.client.HTTPMessage]:
    """Ask for a path below the secret, or for an absolute one."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    base = server.link.partition(f":{server.port}")[2]
    connection.request(method, path if path.startswith("/") else base + path, body=body, headers=headers or {})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data, answer.headers


def test_the_page_comes_with_isolation_and_without_other_addresses(server: PageServer) -> None:
    status, data, headers = ask(server, "")
    assert status == 200
    assert b"<title>phonebench</title>" in data
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert headers["Cache-Control"] == "no-store"


def test_every_file_that_the_page_names_is_served(server: PageServer) -> None:
    for name in ("page.css", "page.js", "worker.js", "tensors.js", "session.js", "latency.js", "flatbuffer.js"):
        assert ask(server, name)[0] == 200, name


@pytest.mark.parametrize("path", ["/", "/next", "/wrong-secret/next", "/index.html"])
def test_who_does_not_know_the_secret_gets_nothing(server: PageServer, path: str) -> None:
    assert ask(server, path)[0] == 404


def test_a_request_under_another_name_is_refused(server: PageServer) -> None:
    """A page of another site could have its name resolved to this computer."""
    assert ask(server, "", headers={"Host": f"evil.example:{server.port}"})[0] == 404
    assert ask(server, "", headers={"Host": f"localhost:{server.port}"})[0] == 200


def test_a_job_is_given_to_one_page_only(server: PageServer, job: WebJob) -> None:
    server.offer(job)
    assert ask(server, "next")[1] == b'{"job": 1}'
    answers: list[int] = []
    second = threading.Thread(target=lambda: answers.append(ask(server, "next")[0]))
    second.start()
    server.offer(job)
    second.join(timeout=10)
    assert answers == [200]


def test_a_page_that_had_a_job_takes_no_other_where_each_has_its_own(server: PageServer, job: WebJob) -> None:
    """A tab that is closed on a phone lives on for a moment, and must not take what is meant for the next one."""
    server.offer(job, fresh=True)
    assert ask(server, "next?page=old")[1] == b'{"job": 1}'
    server.offer(job, fresh=True)
    waiting = threading.Thread(target=ask, args=(server, "next?page=old"))
    waiting.start()
    assert ask(server, "next?page=new")[1] == b'{"job": 2}'
    server.close()
    waiting.join(timeout=10)


def test_a_page_that_is_gone_takes_no_job(server: PageServer, job: WebJob) -> None:
    gone = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    gone.request("GET", server.link.partition(f":{server.port}")[2] + "next")
    gone.close()
    server.offer(job)
    assert ask(server, "next")[1] == b'{"job": 1}'


def test_a_part_of_a_file_and_its_size_can_be_asked_for(server: PageServer, job: WebJob) -> None:
    server.offer(job)
    assert ask(server, "jobs/1/files/inputs.bin")[1] == bytes(range(10))
    status, data, headers = ask(server, "jobs/1/files/inputs.bin", headers={"Range": "bytes=2-4"})
    assert (status, data, headers["X-File-Bytes"]) == (206, bytes([2, 3, 4]), "10")
    assert ask(server, "jobs/1/files/inputs.bin", headers={"Range": "bytes=8-99"})[1] == bytes([8, 9])
    assert ask(server, "jobs/1/files/inputs.bin", method="HEAD")[1] == b""


@pytest.mark.parametrize("name", ["../secret.txt", "%2e%2e%2fsecret.txt", "nothing", "..", ""])
def test_no_file_outside_of_the_job_is_served(server: PageServer, job: WebJob, name: str) -> None:
    server.offer(job)
    assert ask(server, f"jobs/1/files/{name}")[0] == 404


def test_a_launch_that_is_over_takes_nothing_more(server: PageServer, job: WebJob) -> None:
    server.offer(job)
    server.withdraw()
    assert ask(server, "jobs/1/reply", method="POST", body=b"{}")[0] == 410
    assert server.events.empty()


def test_a_question_gets_the_answer_of_the_job_and_outputs_add_up(server: PageServer, job: WebJob) -> None:
    server.offer(job)
    assert ask(server, "jobs/1/echo", method="POST", body=b"hello")[1] == b'"hello"'
    for part in (b"ab", b"cd"):
        assert ask(server, "jobs/1/outputs", method="POST", body=part)[0] == 200
    assert (job.folder / "outputs.bin").read_bytes() == b"abcd"
    assert ask(server, "jobs/1/reply", method="POST", body=b"the reply")[0] == 200
    event = server.events.get_nowait()
    assert (event.kind, event.data) == (Happening.REPLY, b"the reply")


def test_a_page_that_goes_away_with_its_job_is_noticed(server: PageServer, job: WebJob) -> None:
    server.offer(job)
    assert ask(server, "next?page=abc")[1] == b'{"job": 1}'
    page = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    base = server.link.partition(f":{server.port}")[2]
    page.request("GET", f"{base}alive?page=abc", headers={"User-Agent": "Test/1"})
    answer = page.getresponse()
    assert answer.read(6) == b"hello\n"
    assert server.events.get(timeout=10).data == b"Test/1"
    assert server.connected()
    answer.close()
    page.close()
    assert server.events.get(timeout=10).kind is Happening.GONE
    assert not server.connected()


def test_a_page_without_a_job_may_come_and_go(server: PageServer, job: WebJob) -> None:
    server.offer(job)
    assert ask(server, "next?page=first")[1] == b'{"job": 1}'
    other = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    other.request("GET", server.link.partition(f":{server.port}")[2] + "alive?page=second")
    answer = other.getresponse()
    assert server.events.get(timeout=10).kind is Happening.CONNECTED
    answer.close()
    other.close()
    server.events.put(Event(kind=Happening.BROKEN))
    assert server.events.get(timeout=10).kind is Happening.BROKEN
    assert not server.connected() or server.events.empty()


def test_a_damaged_library_file_is_refused_and_told(server: PageServer, tmp_path: Path) -> None:
    folder = tmp_path / "litert-web-2.5.3"
    folder.mkdir()
    (folder / "index.js").write_text("something else")
    assert ask(server, "libraries/litert-web-2.5.3/index.js")[0] == 500
    event = server.events.get_nowait()
    assert event.kind is Happening.FILES
    assert b"is not the pinned file" in event.data
    assert ask(server, "libraries/litert-web-2.5.3/other.js")[0] == 404


@pytest.mark.parametrize("path", ["/jobs/1/reply", "jobs/1/reply", "jobs/1/outputs"])
def test_a_body_of_a_terabyte_is_refused_before_it_is_read(server: PageServer, job: WebJob, path: str) -> None:
    """Any page of any site can send something to a port of this computer."""
    server.offer(job)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    base = server.link.partition(f":{server.port}")[2]
    connection.putrequest("POST", path if path.startswith("/") else base + path)
    connection.putheader("Content-Length", str(1 << 40))
    connection.endheaders()
    connection.send(bytes(1 << 20))
    assert connection.getresponse().status == (410 if path.startswith("/") else 413)
    connection.close()
