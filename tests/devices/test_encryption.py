"""Encrypted artifacts, decrypted step by step as docs/wire.md describes, and with keys that OpenSSL reads."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from harness.devices.encryption import EncryptedCopies, encrypt_file, recipient_of, wrap_key
from harness.errors import DeviceError
from harness.wire import ArtifactRef, CompanionRef, EncryptionKey, Format, KeyWrap

GOLDEN = Path(__file__).parents[1] / "golden" / "encryption"
KEY = bytes(range(32))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def decrypted(data: bytes, key: bytes, plain_sha256: str, segment_bytes: int) -> bytes:
    """The plain file. Raises `InvalidTag` for a file that was changed."""
    assert data[0] == 40
    salt, prefix = data[1:33], data[33:40]
    extracted = hmac.digest(salt, key, "sha256")
    cipher = AESGCM(hmac.digest(extracted, plain_sha256.encode() + b"\x01", "sha256"))
    # The first segment ends where a whole one without a header would.
    ends = [*range(segment_bytes, len(data), segment_bytes), len(data)]
    plain, start = b"", 40
    for number, end in enumerate(ends):
        nonce = prefix + number.to_bytes(4, "big") + (b"\x01" if end == len(data) else b"\x00")
        plain += cipher.decrypt(nonce, data[start:end], None)
        start = end
    return plain


def test_this_test_decrypts_what_tink_encrypted() -> None:
    plain = (GOLDEN / "model.bin").read_bytes()
    key = base64.b64decode(json.loads((GOLDEN / "keys.json").read_text())["file_key"])
    assert decrypted((GOLDEN / "model.bin.4kb").read_bytes(), key, sha256(plain), 4096) == plain
    assert decrypted((GOLDEN / "model.bin.1mb").read_bytes(), key, sha256(plain), 1 << 20) == plain
    assert decrypted((GOLDEN / "empty.1mb").read_bytes(), key, sha256(b""), 1 << 20) == b""


# Nothing, one byte, and around the ends of the first (40 bytes shorter) and the second segment.
@pytest.mark.parametrize("length", [0, 1, 4039, 4040, 4041, 8119, 8120, 8121, 20000])
def test_a_file_is_decrypted_to_what_it_was(tmp_path: Path, length: int) -> None:
    plain = bytes(number * 7 % 256 for number in range(length))
    source, target = tmp_path / "plain", tmp_path / "encrypted"
    source.write_bytes(plain)
    digest = encrypt_file(source, target, KEY, sha256(plain), segment_bytes=4096)
    data = target.read_bytes()
    assert digest == sha256(data)
    assert decrypted(data, KEY, sha256(plain), 4096) == plain


def test_no_two_copies_have_a_key_or_a_salt_in_common(tmp_path: Path) -> None:
    source, copies = tmp_path / "plain", EncryptedCopies()
    source.write_bytes(b"weights")
    first = copies.encrypt(source, sha256(b"weights"), tmp_path / "1")
    second = copies.encrypt(source, sha256(b"weights"), tmp_path / "2")
    assert first.key != second.key
    assert (tmp_path / "1").read_bytes()[:40] != (tmp_path / "2").read_bytes()[:40]
    assert decrypted((tmp_path / "2").read_bytes(), second.key, sha256(b"weights"), 1 << 20) == b"weights"


def recipient(algorithm: KeyWrap) -> tuple[EncryptionKey, str, Path]:
    """A key of the golden files, the digest by which a request names it, and its private half."""
    entries = json.loads((GOLDEN / "keys.json").read_text())["recipients"]
    entry = next(entry for entry in entries if entry["algorithm"] == algorithm.value)
    key = EncryptionKey(algorithm=algorithm, public_key=entry["public_key"])
    return key, entry["recipient"], GOLDEN / entry["private_key"]


def test_openssl_unwraps_the_key_of_a_file_with_rsa() -> None:
    key, digest, private = recipient(KeyWrap.RSA_OAEP)
    options = ("rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha1")
    command = ["openssl", "pkeyutl", "-decrypt", "-inkey", str(private)]
    command += [word for option in options for word in ("-pkeyopt", option)]
    done = subprocess.run(command, input=wrap_key(KEY, key), capture_output=True, check=True, timeout=30)
    assert done.stdout == KEY
    assert recipient_of(key) == digest


def test_the_key_of_a_file_is_unwrapped_with_ecdh_as_jose_derives_it() -> None:
    key, digest, private = recipient(KeyWrap.ECDH_ES_A256KW)
    assert recipient_of(key) == digest
    wrapped = wrap_key(KEY, key)
    assert (len(wrapped), wrapped[0]) == (105, 4)
    golden = json.loads((GOLDEN / "keys.json").read_text())
    theirs = next(one["wrapped_key"] for one in golden["recipients"] if one["algorithm"] == key.algorithm.value)
    secret = load_pem_private_key(private.read_bytes(), None)
    assert isinstance(secret, ec.EllipticCurvePrivateKey)
    for data, file_key in ((wrapped, KEY), (base64.b64decode(theirs), base64.b64decode(golden["file_key"]))):
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data[:65])
        shared = secret.exchange(ec.ECDH(), point)
        info = b"\x00\x00\x00\x0eECDH-ES+A256KW" + b"\x00" * 8 + b"\x00\x00\x01\x00"
        wrapping = hashlib.sha256(b"\x00\x00\x00\x01" + shared + info).digest()
        assert aes_key_unwrap(wrapping, data[65:]) == file_key


def test_every_file_of_an_artifact_is_in_the_request_in_its_order(tmp_path: Path) -> None:
    key, digest, _ = recipient(KeyWrap.RSA_OAEP)
    copies, files = EncryptedCopies(), {"model.onnx": b"graph", "model.onnx.data": b"weights"}
    made = []
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        made.append(copies.encrypt(tmp_path / name, sha256(data), tmp_path / f"{name}.encrypted"))
    companion = CompanionRef(file="model.onnx.data", sha256=sha256(b"weights"))
    artifact = ArtifactRef(file="model.onnx", sha256=sha256(b"graph"), format=Format.ONNX, companions=(companion,))
    encryption = copies.wrapped(artifact, key)
    assert encryption.recipient == digest
    assert [file.sha256 for file in encryption.files] == [copy.sha256 for copy in made]
    assert encryption.files[0].key != encryption.files[1].key
    assert repr(made[0].key) not in repr(made[0])
    with pytest.raises(DeviceError, match="was not encrypted for this device: push it"):
        EncryptedCopies().wrapped(artifact, key)


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return der_text(key.public_key())


def der_text(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@pytest.mark.parametrize("algorithm", list(KeyWrap))
def test_a_key_that_cannot_be_used_is_refused_in_a_sentence(algorithm: KeyWrap) -> None:
    texts = ["", "%%%", base64.b64encode(b"no key").decode(), public(ec.generate_private_key(ec.SECP384R1()))]
    texts.append(public(rsa.generate_private_key(public_exponent=65537, key_size=1024)))
    # More than OpenSSL encrypts for; nobody has the private key.
    texts.append(der_text(rsa.RSAPublicNumbers(65537, (1 << 20_000) + 1).public_key()))
    # A modulus is the product of two odd primes.
    texts.append(der_text(rsa.RSAPublicNumbers(65537, 1 << 2047).public_key()))
    for text in texts:
        with pytest.raises(DeviceError, match=r"the public key of the runner app cannot be used \(.+\): build"):
            wrap_key(KEY, EncryptionKey(algorithm=algorithm, public_key=text))
