"""Certificates of a farm, and what each refusal says."""

from __future__ import annotations

import ssl
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.farm.certs import (
    CA_FILE,
    CA_KEY_FILE,
    CERT_FILE,
    KEY_FILE,
    list_certificates,
    make_authority,
    make_certificate,
    read_certificate,
)
from harness.farm.tls import check_own, farm_place

pytest.importorskip("cryptography")

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_openssl_accepts_the_chain_and_finds_the_names(tmp_path: Path) -> None:
    make_authority(tmp_path)
    made = make_certificate(tmp_path, "lab1", ["lab1.example.org", "10.0.0.5"])
    chain = ["openssl", "verify", "-x509_strict", "-CAfile", str(tmp_path / CA_FILE), str(made.folder / CERT_FILE)]
    assert subprocess.run(chain, capture_output=True, text=True, check=True).stdout.endswith(": OK\n")
    text = subprocess.run(
        ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", str(made.folder / CERT_FILE)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "DNS:lab1.example.org" in text
    assert "IP Address:10.0.0.5" in text


def test_keys_are_for_their_owner_only_and_the_authority_keeps_its_own(tmp_path: Path) -> None:
    make_authority(tmp_path)
    folder = make_certificate(tmp_path, "rack1").folder
    for key in (tmp_path / CA_KEY_FILE, folder / KEY_FILE):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == [CA_FILE, CERT_FILE, KEY_FILE]


def test_renewing_keeps_the_names_and_changes_the_key(tmp_path: Path) -> None:
    make_authority(tmp_path, NOW)
    first = make_certificate(tmp_path, "lab1", ["lab1.example.org"], NOW)
    key = (first.folder / KEY_FILE).read_bytes()
    again = make_certificate(tmp_path, "lab1", (), NOW + timedelta(days=170))
    assert again.names == ("lab1.example.org",)
    assert (again.folder / KEY_FILE).read_bytes() != key
    assert again.days_left(NOW) == pytest.approx(350)


def test_the_authority_is_made_once(tmp_path: Path) -> None:
    make_authority(tmp_path)
    before = (tmp_path / CA_FILE).read_bytes()
    make_authority(tmp_path)
    assert (tmp_path / CA_FILE).read_bytes() == before


def test_certificates_are_listed_by_name(tmp_path: Path) -> None:
    make_authority(tmp_path)
    for name in ("rack2", "lab1"):
        make_certificate(tmp_path, name)
    assert [one.name for one in list_certificates(tmp_path)] == ["lab1", "rack2"]


@pytest.mark.parametrize("name", ["", "../lab", "a/b", ".hidden"])
def test_a_name_that_is_a_path_is_refused(tmp_path: Path, name: str) -> None:
    make_authority(tmp_path)
    with pytest.raises(UsageError, match="without slashes"):
        make_certificate(tmp_path, name)


@pytest.mark.parametrize("lost", [CA_FILE, CA_KEY_FILE])
def test_half_an_authority_makes_nothing_and_is_not_replaced(tmp_path: Path, lost: str) -> None:
    make_authority(tmp_path)
    (tmp_path / lost).unlink()
    for make in (make_authority, partial(make_certificate, name="rack1")):
        with pytest.raises(UsageError, match=r"run this where the farm's ca-key\.pem is"):
            make(tmp_path)
    assert not (tmp_path / lost).exists()


@pytest.mark.parametrize(
    ("name", "others", "sentence"),
    [("jörg", (), "in ASCII"), ("lab1", ("lab.münchen.example",), "in ASCII"), ("a" * 65, (), "at most 64 characters")],
)
def test_a_name_that_no_certificate_can_hold_is_refused(
    tmp_path: Path, name: str, others: tuple[str, ...], sentence: str
) -> None:
    make_authority(tmp_path)
    with pytest.raises(UsageError, match=sentence):
        make_certificate(tmp_path, name, others)
    assert list_certificates(tmp_path) == ()


@pytest.mark.parametrize(
    ("after_days", "sentence"),
    [(181, "ended on 2027-05-29: renew it with 'phonebench farm certs rack1'"), (-2, "set the clock")],
)
def test_a_certificate_of_another_time_is_refused(tmp_path: Path, after_days: int, sentence: str) -> None:
    make_authority(tmp_path, NOW)
    folder = make_certificate(tmp_path, "rack1", (), NOW).folder
    with pytest.raises(UsageError, match=sentence):
        check_own(folder, NOW + timedelta(days=after_days))


def test_a_certificate_that_ends_soon_is_announced(tmp_path: Path) -> None:
    make_authority(tmp_path, NOW)
    folder = make_certificate(tmp_path, "rack1", (), NOW).folder
    assert check_own(folder, NOW + timedelta(days=100)) is None
    assert "ends on 2027-05-29" in (check_own(folder, NOW + timedelta(days=160)) or "")


def test_a_host_whose_clock_is_late_accepts_a_new_certificate(tmp_path: Path) -> None:
    make_authority(tmp_path, NOW)
    folder = make_certificate(tmp_path, "rack1", (), NOW).folder
    assert check_own(folder, NOW - timedelta(hours=1)) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    make_authority(tmp_path)
    folder = make_certificate(tmp_path, "rack1").folder
    (folder / KEY_FILE).chmod(mode)
    with pytest.raises(UsageError, match=rf"read by other users \(mode {mode:04o}\).*chmod 600"):
        check_own(folder)
    (folder / KEY_FILE).chmod(0o400)
    assert check_own(folder) is None


@pytest.mark.parametrize("missing", [CERT_FILE, KEY_FILE, CA_FILE])
def test_half_a_folder_is_refused(tmp_path: Path, missing: str) -> None:
    make_authority(tmp_path)
    folder = make_certificate(tmp_path, "rack1").folder
    (folder / missing).unlink()
    with pytest.raises(UsageError, match=r"copy (the whole|its) folder"):
        check_own(folder)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("tcp://lab1:8787", "never reached without encryption"),
        ("http://lab1:8787", "never reached without encryption"),
        ("lab1:8787", "check the address"),
        ("tls://lab1:port", "no valid port"),
        ("tls://:8787", "names no host"),
        ("tls://lab1:99999", "no valid port"),
    ],
)
def test_an_address_that_is_none_is_refused(tmp_path: Path, url: str, sentence: str) -> None:
    make_authority(tmp_path)
    folder = make_certificate(tmp_path, "rack1").folder
    with pytest.raises(UsageError, match=sentence):
        farm_place(url, folder)


@pytest.mark.parametrize(
    ("url", "host", "port"), [("tls://lab1", "lab1", 8787), ("tls://lab1:1", "lab1", 1), ("tls://[::1]:5", "::1", 5)]
)
def test_an_address_is_read(tmp_path: Path, url: str, host: str, port: int) -> None:
    make_authority(tmp_path)
    place = farm_place(url, make_certificate(tmp_path, "rack1").folder)
    assert (place.host, place.port) == (host, port)


def test_only_tls_1_3_is_spoken(tmp_path: Path) -> None:
    from harness.farm.tls import client_context, server_context

    make_authority(tmp_path)
    folder = make_certificate(tmp_path, "rack1").folder
    for context in (client_context(folder), server_context(folder)):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
        assert context.verify_mode is ssl.CERT_REQUIRED
    assert read_certificate(folder).name == "rack1"
