"""Who may read: anyone on this computer, and from elsewhere only readers with a login, over TLS."""

from __future__ import annotations

import base64
import http.client
import signal
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.dashboard.access import Access, Doorkeeper, Tls, check_access, host_is_ours, read_logins
from harness.errors import UsageError
from harness.system.addresses import is_loopback
from tests.conftest import call_phonebench
from tests.dashboard.site import DEADLINE_S, LOCAL, serving

PASSWORD = "correct horse battery"


def basic(login: str) -> str:
    return f"Basic {base64.b64encode(login.encode()).decode()}"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a certificate of it for this server and one for a reader, and a reader of another authority."""
    folder = tmp_path_factory.mktemp("pki")
    for ca, names in (("ca", ("server", "reader")), ("other", ("stranger",))):
        openssl("req", "-x509", *key(folder, ca), "-subj", f"/CN={ca}", "-out", str(folder / f"{ca}.pem"))
        for name in names:
            openssl("req", "-new", *key(folder, name), "-subj", f"/CN={name}", "-out", str(folder / f"{name}.csr"))
            extensions = folder / f"{name}.ext"
            extensions.write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
            signer = ["-CA", str(folder / f"{ca}.pem"), "-CAkey", str(folder / f"{ca}.key"), "-CAcreateserial"]
            files = ["-in", str(folder / f"{name}.csr"), "-out", str(folder / f"{name}.pem")]
            openssl("x509", "-req", *files, *signer, "-days", "2", "-extfile", str(extensions))
    return folder


def key(folder: Path, name: str) -> list[str]:
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    return [*curve, "-keyout", str(folder / f"{name}.key")]


def openssl(*args: str) -> None:
    subprocess.run(["openssl", *args], check=True, capture_output=True, timeout=DEADLINE_S)


def reader_of(pki: Path, name: str = "") -> ssl.SSLContext:
    """What a reader trusts, and the certificate that it shows."""
    context = ssl.create_default_context(cafile=pki / "ca.pem")
    if name:
        context.load_cert_chain(pki / f"{name}.pem", pki / f"{name}.key")
    return context


@pytest.fixture
def logins(tmp_path: Path) -> Path:
    path = tmp_path / "logins"
    path.write_text(f"# readers\nana:{PASSWORD}\nb:{PASSWORD}: with a colon\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "localhost.example.org", "127.0.0.1.x"]
)
def test_elsewhere_needs_tls_and_a_login(host: str, pki: Path) -> None:
    assert not is_loopback(host)
    access = Access(host=host, port=0)
    with pytest.raises(UsageError, match="needs TLS there: add --tls-cert"):
        check_access(replace(access, logins=frozenset({b"x"})))
    tls = Tls(cert=pki / "server.pem", key=pki / "server.key")
    with pytest.raises(UsageError, match="needs a login there: add --login"):
        check_access(replace(access, tls=tls))
    check_access(replace(access, tls=tls, logins=frozenset({b"x"})))
    check_access(replace(access, tls=replace(tls, ca=pki / "ca.pem")))


@pytest.mark.parametrize(
    ("cert", "other", "words"),
    [
        ("none.pem", "server.key", "--tls-cert .* is not a file"),
        ("server.pem", "none.key", "--tls-key .* is not a file"),
        ("server.pem", "reader.key", "cannot be used"),
        ("server.key", "server.key", "cannot be used"),
        ("server.ext", "server.key", "cannot be used"),
    ],
)
def test_wrong_tls_files_are_named(pki: Path, cert: str, other: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_access(replace(LOCAL, tls=Tls(cert=pki / cert, key=pki / other)))


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("ana:correct horse battery\n", 0o644, "can be read by other users; run: chmod 600"),
        ("", 0o600, "has no line"),
        ("# nobody\n\n", 0o600, "has no line"),
        ("ana\n", 0o600, "line 1 .* is not NAME:PASSWORD"),
        ("ana:short\n", 0o600, "at least 12 characters"),
        (f"ana:{PASSWORD}\n:{PASSWORD}\n", 0o600, "line 2 .* is not NAME:PASSWORD"),
        (b"\xff\xfe:\x00", 0o600, "cannot be read"),
    ],
)
def test_a_wrong_login_file_is_a_sentence_without_its_passwords(
    tmp_path: Path, text: str | bytes, mode: int, words: str
) -> None:
    path = tmp_path / "logins"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    with pytest.raises(UsageError, match=words) as caught:
        read_logins(path)
    assert PASSWORD not in str(caught.value)


def test_a_missing_login_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_logins(tmp_path / "none")


def test_only_the_right_login_gets_in(logins: Path) -> None:
    door = Doorkeeper(read_logins(logins), clock=lambda: 0.0)
    answers = {
        login: door.answer({"authorization": basic(login)}, login)
        for login in (f"ana:{PASSWORD}", f"b:{PASSWORD}: with a colon", f"b:{PASSWORD}", "ana:", "", f"Ana:{PASSWORD}")
    }
    assert list(answers.values()) == [200, 200, 401, 401, 401, 401]
    for header in ("", "Basic", "Basic ???", "Basic /w==", f"Bearer {PASSWORD}", "basic"):
        assert door.answer({"authorization": header}, header) == 401


def test_guessing_has_to_wait_and_others_do_not(logins: Path) -> None:
    now = [0.0]
    door = Doorkeeper(read_logins(logins), clock=lambda: now[0])
    good, wrong = ({"authorization": basic(f"ana:{word}")} for word in (PASSWORD, "guess guess guess"))
    # Without a login a browser only asks which one is needed.
    assert {door.answer({}, "a") for _ in range(50)} == {401}
    assert [door.answer(wrong, "a") for _ in range(12)] == [401] * 10 + [429] * 2
    assert door.answer(good, "a") == 429
    assert door.answer(good, "b") == 200
    now[0] = 61.0
    assert door.answer(good, "a") == 200


@pytest.mark.parametrize("header", ["localhost:8765", "127.0.0.1", "[::1]:8765", "[::1]", "LOCALHOST:1".lower()])
def test_names_of_this_computer(header: str) -> None:
    assert host_is_ours(header)


@pytest.mark.parametrize("header", ["", "evil.example:8765", "localhost.evil.example", "192.168.1.5:8765", ":8765"])
def test_a_page_of_another_site_cannot_read_through_a_name_of_its_own(tmp_path: Path, header: str) -> None:
    assert not host_is_ours(header)
    with serving(tmp_path, str(tmp_path / "h.sqlite")) as served:
        assert served.get("/", Host=header).status == 421


@pytest.fixture
def with_login(logins: Path, pki: Path) -> Access:
    return Access(
        host="127.0.0.1", port=0, tls=Tls(cert=pki / "server.pem", key=pki / "server.key"), logins=read_logins(logins)
    )


def test_a_login_over_tls(tmp_path: Path, with_login: Access, pki: Path) -> None:
    with serving(tmp_path, str(tmp_path / "h.sqlite"), with_login, reader_of(pki)) as served:
        asked = served.get("/")
        assert asked.status == 401
        assert asked.headers["www-authenticate"].startswith("Basic")
        assert "phonebench" not in asked.text.lower().replace("this page needs a login", "")
        assert served.get("/", Authorization=basic("ana:wrong wrong wrong")).status == 401
        assert served.get("/", Authorization=basic(f"ana:{PASSWORD}")).status == 200
        # Speaking plain HTTP to it gets nothing.
        plain = http.client.HTTPConnection("127.0.0.1", served.port, timeout=DEADLINE_S)
        plain.request("GET", "/")
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            plain.getresponse()
        plain.close()


@pytest.mark.parametrize(("name", "let_in"), [("reader", True), ("stranger", False), ("", False)])
def test_a_certificate_as_a_login(tmp_path: Path, pki: Path, name: str, let_in: bool) -> None:
    tls = Tls(cert=pki / "server.pem", key=pki / "server.key", ca=pki / "ca.pem")
    with serving(tmp_path, str(tmp_path / "h.sqlite"), replace(LOCAL, tls=tls), reader_of(pki, name)) as served:
        if let_in:
            assert served.get("/").status == 200
        else:
            with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
                served.get("/")


def test_every_answer_carries_the_headers_that_keep_it_private(tmp_path: Path) -> None:
    with serving(tmp_path, str(tmp_path / "h.sqlite")) as served:
        for path in ("/", "/none", "/series"):
            headers = served.get(path).headers
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "script-src 'sha256-" in policy
            assert "server" not in headers


def test_the_command_serves_until_it_is_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "harness", "dashboard", "--port", "0", "--results", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            port = int(line.partition("127.0.0.1:")[2].partition("/")[0])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
            connection.request("GET", "/")
            assert connection.getresponse().status == 200
            connection.close()
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--host", "0.0.0.0"), "needs TLS there"),
        (("--tls-ca", "ca.pem"), "TLS needs both --tls-cert and --tls-key"),
        (("--login", "none"), "the login file 'none' cannot be read"),
        (("--host", "no such host"), "needs TLS there"),
        (("--port", "70000"), "port"),
    ],
)
def test_mistakes_on_the_command_line(tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    called = call_phonebench("dashboard", *args, cwd=tmp_path)
    assert called.code == 2
    assert words in called.err


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with serving(tmp_path, str(tmp_path / "h.sqlite")) as served:
        called = call_phonebench("dashboard", "--port", str(served.port), cwd=tmp_path)
    assert called.code == 2
    assert "choose another --port" in called.err
