"""Keys made by OpenSSL and by us: those that can be used, and why the others cannot."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.errors import SignatureError
from harness.signing.keys import check_private_key, create_key, read_trusted_key


def openssl(*args: str | Path) -> str:
    return subprocess.run(["openssl", *args], check=True, capture_output=True, text=True).stdout


def openssl_key(path: Path, *options: str) -> Path:
    openssl("genpkey", *options, "-out", path)
    path.chmod(0o600)
    return path


def ec(curve: str) -> tuple[str, ...]:
    return ("-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}")


def test_a_new_key_is_one_that_openssl_reads(tmp_path: Path) -> None:
    made = create_key(tmp_path / "mine", days=30)
    assert made.private.stat().st_mode & 0o777 == 0o600
    assert openssl("pkey", "-in", made.private, "-pubout") == made.public.read_text()
    text = openssl("x509", "-in", made.certificate, "-noout", "-pubkey", "-subject", "-enddate")
    assert made.public.read_text() in text
    assert "CN = mine" in text
    assert made.expires_at.strftime("%b %e") in text


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    made = create_key(tmp_path / "mine", days=30)
    before = made.private.read_bytes()
    with pytest.raises(SignatureError, match=r"mine\.key"):
        create_key(tmp_path / "mine", days=30)
    assert made.private.read_bytes() == before


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
def test_keys_of_openssl_can_be_used(tmp_path: Path, curve: str) -> None:
    private = openssl_key(tmp_path / "k", *ec(curve))
    public = tmp_path / "k.pub"
    public.write_text(openssl("pkey", "-in", private, "-pubout"))
    assert check_private_key(private) == read_trusted_key(public).pem == public.read_bytes()


@pytest.mark.parametrize(
    ("options", "word"),
    [(("-algorithm", "ed25519"), "Ed25519"), (("-algorithm", "RSA"), "RSA"), (ec("secp256k1"), "secp256k1")],
)
def test_a_key_of_another_kind_is_refused_with_the_kinds_that_work(
    tmp_path: Path, options: tuple[str, ...], word: str
) -> None:
    private = openssl_key(tmp_path / "k", *options)
    with pytest.raises(SignatureError, match=rf"{word}.*P-256"):
        check_private_key(private)
    public = tmp_path / "k.pub"
    public.write_text(openssl("pkey", "-in", private, "-pubout"))
    with pytest.raises(SignatureError, match=rf"{word}.*P-256"):
        read_trusted_key(public)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    private = create_key(tmp_path / "mine", days=30).private
    private.chmod(0o640)
    with pytest.raises(SignatureError, match="mode 0640.*chmod 600"):
        check_private_key(private)


def test_a_public_key_does_not_sign_and_a_private_key_is_not_trusted(tmp_path: Path) -> None:
    made = create_key(tmp_path / "mine", days=30)
    with pytest.raises(SignatureError, match="is a public key; signing needs the private one"):
        check_private_key(made.public)
    with pytest.raises(SignatureError, match="is a private key"):
        read_trusted_key(made.private)


def test_an_encrypted_key_needs_its_password(tmp_path: Path) -> None:
    private = create_key(tmp_path / "mine", days=30, password="open sesame").private
    with pytest.raises(SignatureError, match="is encrypted: set PHONEBENCH_KEY_PASSWORD"):
        check_private_key(private)
    with pytest.raises(SignatureError, match="check PHONEBENCH_KEY_PASSWORD"):
        check_private_key(private, "close")
    assert check_private_key(private, "open sesame") == (tmp_path / "mine.pub").read_bytes()


def test_a_password_for_a_key_without_one_is_refused(tmp_path: Path) -> None:
    private = create_key(tmp_path / "mine", days=30).private
    with pytest.raises(SignatureError, match="is not encrypted: unset PHONEBENCH_KEY_PASSWORD"):
        check_private_key(private, "any")


def test_a_certificate_counts_until_its_last_day(tmp_path: Path) -> None:
    made = create_key(tmp_path / "mine", days=30)
    key = read_trusted_key(made.certificate, now=made.expires_at)
    assert key.pem == made.public.read_bytes()
    with pytest.raises(SignatureError, match=f"expired on {made.expires_at:%Y-%m-%d}"):
        read_trusted_key(made.certificate, now=made.expires_at + timedelta(seconds=1))
    with pytest.raises(SignatureError, match="valid only from"):
        read_trusted_key(made.certificate, now=datetime.now(UTC) - timedelta(days=2))


def test_a_certificate_of_openssl_that_has_expired_is_refused(tmp_path: Path) -> None:
    private = openssl_key(tmp_path / "k", *ec("P-256"))
    certificate = tmp_path / "k.crt"
    openssl("req", "-x509", "-key", private, "-subj", "/CN=old", "-days", "1", "-out", certificate)
    assert read_trusted_key(certificate).expires_at is not None
    with pytest.raises(SignatureError, match="expired on"):
        read_trusted_key(certificate, now=datetime.now(UTC) + timedelta(days=2))


def test_of_a_chain_the_first_certificate_counts_alone(tmp_path: Path) -> None:
    """Its key and its days: an issuer that still counts does not prolong it, nor does an old one shorten it."""
    short, long = tmp_path / "short.crt", tmp_path / "long.crt"
    for certificate, days in ((short, "1"), (long, "30")):
        private = openssl_key(certificate.with_suffix(".key"), *ec("P-256"))
        openssl("req", "-x509", "-key", private, "-subj", f"/CN={days}", "-days", days, "-out", certificate)
    later = datetime.now(UTC) + timedelta(days=2)
    chain = tmp_path / "chain.crt"
    chain.write_bytes(short.read_bytes() + long.read_bytes())
    with pytest.raises(SignatureError, match="expired on"):
        read_trusted_key(chain, now=later)
    chain.write_bytes(long.read_bytes() + short.read_bytes())
    assert read_trusted_key(chain, now=later).pem == read_trusted_key(long).pem


@pytest.mark.parametrize("data", [b"", b"\0\xff" * 50, b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_key_is_named(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "no-key"
    file.write_bytes(data)
    file.chmod(0o600)
    with pytest.raises(SignatureError, match="no-key.*is no public key"):
        read_trusted_key(file)
    with pytest.raises(SignatureError, match="no-key"):
        check_private_key(file)


def test_what_has_no_end_is_no_key(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(SignatureError, match=rf"{path}' cannot be read \(it is not a regular file\)"):
            check_private_key(path)
        with pytest.raises(SignatureError, match=rf"{path}' cannot be read \(it is not a regular file\)"):
            read_trusted_key(path)


@pytest.mark.parametrize(
    ("password", "reason"), [("\udcff", "is not UTF-8"), ("x" * 1024, "has 1024 bytes")], ids=["bytes", "long"]
)
def test_a_password_that_no_key_can_have_leaves_no_files(tmp_path: Path, password: str, reason: str) -> None:
    with pytest.raises(SignatureError, match=f"PHONEBENCH_KEY_PASSWORD {reason}"):
        create_key(tmp_path / "mine", days=30, password=password)
    assert not list(tmp_path.iterdir())
    made = create_key(tmp_path / "mine", days=30, password="x" * 1023)
    with pytest.raises(SignatureError, match=f"PHONEBENCH_KEY_PASSWORD {reason}"):
        check_private_key(made.private, password)


@pytest.mark.parametrize("name", ["", "..", "\udcff"])
def test_what_is_no_name_makes_no_key(tmp_path: Path, name: str) -> None:
    with pytest.raises(SignatureError, match="is no name for the files of a key"):
        create_key(tmp_path / name if name else Path(), days=30)
    assert not list(tmp_path.iterdir())


def test_a_key_of_which_a_part_cannot_be_written_leaves_none(tmp_path: Path) -> None:
    (tmp_path / "mine.crt").symlink_to("nowhere")
    with pytest.raises(SignatureError, match=r"mine\.crt' exists"):
        create_key(tmp_path / "mine", days=30)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.crt"]


def test_a_key_that_is_missing_or_huge_is_named(tmp_path: Path) -> None:
    with pytest.raises(SignatureError, match=r"nowhere.*No such file"):
        read_trusted_key(tmp_path / "nowhere")
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(1 << 31)
    with pytest.raises(SignatureError, match=r"huge' cannot be read \(it has more than 1048576 bytes\)"):
        read_trusted_key(huge)
