"""Signatures of files and folders: made by us and by another program, and every way to break them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.errors import SignatureError
from harness.signing.bundle import sign, verify
from harness.signing.keys import KeyFiles, TrustedKey, create_key, read_trusted_key
from harness.signing.require import require_signatures

GOLDEN = Path(__file__).parents[1] / "golden" / "signing"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> KeyFiles:
    return create_key(tmp_path_factory.mktemp("key") / "mine", days=30)


@pytest.fixture(scope="module")
def trusted(key: KeyFiles) -> TrustedKey:
    return read_trusted_key(key.public)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two files, one of them in a folder of its own."""
    root = tmp_path / "model"
    (root / "data").mkdir(parents=True)
    (root / "model.toml").write_text("name = 'x'\n")
    (root / "data" / "a.npz").write_bytes(b"numbers")
    return root


@pytest.fixture
def readable_by_all() -> Iterator[Path]:
    """A folder that users other than the one of the tests can enter too."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up the rights of root, which may read everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def refusal(path: Path, trusted: TrustedKey) -> str:
    with pytest.raises(SignatureError) as caught:
        verify(path, trusted)
    return str(caught.value)


def statement(signature: Path) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(
        base64.b64decode(json.loads(signature.read_bytes())["dsseEnvelope"]["payload"])
    )
    return payload


@pytest.mark.parametrize(
    ("path", "signature", "public"),
    [
        ("model.bin", "model-by-1.1.sig", "P-256.pub"),
        ("model.bin", "model-by-P-384.sig", "P-384.pub"),
        ("folder", "folder.sig", "P-256.pub"),
        ("folder/model.onnx", "folder.sig", "P-256.pub"),
    ],
)
def test_signatures_of_another_program_are_verified(path: str, signature: str, public: str) -> None:
    verified = verify(GOLDEN / path, read_trusted_key(GOLDEN / public), signature=GOLDEN / signature)
    files = [file for file in (GOLDEN / path).glob("*")] or [GOLDEN / path]
    digests = {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    assert digests <= set(verified.digests.values())


@pytest.mark.parametrize(
    ("path", "signature", "public", "words"),
    [
        ("model.bin", "model-by-1.1.sig", "P-384.pub", "is not by the key"),
        ("folder/model.onnx", "model-by-1.1.sig", "P-256.pub", "'model.onnx' changed"),
        ("model.bin", "folder.sig", "P-256.pub", "is of 'model.onnx', 'model.onnx.data', not of model.bin"),
        ("folder", "model-by-1.1.sig", "P-256.pub", "added"),
    ],
)
def test_a_signature_by_another_key_or_of_another_file_is_refused(
    path: str, signature: str, public: str, words: str
) -> None:
    with pytest.raises(SignatureError, match=words):
        verify(GOLDEN / path, read_trusted_key(GOLDEN / public), signature=GOLDEN / signature)


def test_a_signature_states_the_digest_that_sha256sum_computes(tmp_path: Path, key: KeyFiles) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(bytes(range(256)) * 40)
    signature = sign(file, key.private)
    assert signature == tmp_path / "model.tflite.sig"
    printed = subprocess.run(["sha256sum", file], check=True, capture_output=True, text=True).stdout
    (resource,) = statement(signature)["predicate"]["resources"]
    assert printed.split()[0] == resource["digest"]


def test_a_changed_byte_is_refused_with_the_name_of_the_file(
    tmp_path: Path, key: KeyFiles, trusted: TrustedKey
) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(bytes(1000))
    sign(file, key.private)
    verify(file, trusted)
    file.write_bytes(bytes(999) + b"\1")
    assert "'model.tflite' changed" in refusal(file, trusted)


def test_what_is_added_changed_and_removed_is_named(folder: Path, key: KeyFiles, trusted: TrustedKey) -> None:
    sign(folder, key.private)
    assert set(verify(folder, trusted).digests) == {"model.toml", "data/a.npz"}
    (folder / "model.toml").write_text("name = 'y'\n")
    (folder / "data" / "a.npz").unlink()
    (folder / "data" / "b.py").write_text("")
    message = refusal(folder, trusted)
    assert "'model.toml' changed, 'data/b.py' added, 'data/a.npz' removed" in message


def test_a_signed_folder_may_be_used_by_python_and_git(folder: Path, key: KeyFiles, trusted: TrustedKey) -> None:
    sign(folder, key.private)
    for name in ("__pycache__", ".git"):
        (folder / name).mkdir()
        (folder / name / "something").write_text("")
    verify(folder, trusted)


def test_links_are_neither_signed_nor_accepted(folder: Path, key: KeyFiles, trusted: TrustedKey) -> None:
    sign(folder, key.private)
    content = (folder / "model.toml").read_bytes()
    elsewhere = folder.parent / "elsewhere"
    elsewhere.write_bytes(content)
    (folder / "model.toml").unlink()
    (folder / "model.toml").symlink_to(elsewhere)
    assert "symbolic link" in refusal(folder, trusted)
    with pytest.raises(SignatureError, match="symbolic link"):
        sign(folder, key.private)
    (folder / "model.toml").unlink()
    (folder / "model.toml").write_bytes(content)
    (folder / "more").symlink_to(folder / "data")
    assert "more" in refusal(folder, trusted)


@pytest.mark.parametrize("make", [os.mkfifo, make_socket], ids=["pipe", "socket"])
def test_what_has_no_bytes_is_neither_signed_nor_accepted(
    folder: Path, key: KeyFiles, trusted: TrustedKey, make: Callable[[Path], None]
) -> None:
    sign(folder, key.private)
    make(folder / "data" / "extra")
    assert "extra' is neither a file nor a folder" in refusal(folder, trusted)
    with pytest.raises(SignatureError, match="extra' is neither a file nor a folder"):
        sign(folder, key.private)


def test_a_pipe_is_no_signature(tmp_path: Path, trusted: TrustedKey) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    os.mkfifo(tmp_path / "model.bin.sig")
    assert "model.bin.sig' cannot be read (it is not a regular file)" in refusal(tmp_path / "model.bin", trusted)


def test_a_folder_that_cannot_be_listed_is_refused(key: KeyFiles, trusted: TrustedKey, readable_by_all: Path) -> None:
    """Code finds a file in it by its name all the same."""
    model = readable_by_all / "model"
    model.mkdir()
    (model / "model.toml").write_text("name = 'x'\n")
    sign(model, key.private)
    (model / "hidden").mkdir()
    (model / "hidden" / "settings").write_text("")
    (model / "hidden").chmod(0o311)
    with as_nobody():
        assert "hidden' cannot be read (Permission denied)" in refusal(model, trusted)
    (model / "hidden").chmod(0o755)
    (model / "hidden" / "settings").chmod(0)
    with as_nobody():
        assert "settings' cannot be read (Permission denied)" in refusal(model, trusted)


def test_a_name_that_is_no_text_is_refused(folder: Path, key: KeyFiles, trusted: TrustedKey) -> None:
    sign(folder, key.private)
    (folder / os.fsdecode(b"weights-\xff")).write_bytes(b"")
    assert "is not UTF-8" in refusal(folder, trusted)
    with pytest.raises(SignatureError, match=r"weights-\\udcff' is not UTF-8"):
        sign(folder, key.private)
    file = folder.parent / os.fsdecode(b"model-\xff.bin")
    file.write_bytes(b"")
    with pytest.raises(SignatureError, match=r"model-\\udcff.bin' is not UTF-8"):
        sign(file, key.private)


def test_a_folder_of_a_run_that_is_a_link_is_refused(tmp_path: Path, key: KeyFiles, trusted: TrustedKey) -> None:
    run = tmp_path / "run"
    (run / "replies").mkdir(parents=True)
    (run / "run.json").write_text("{}")
    (run / "replies" / "a.gz").write_bytes(b"")
    sign(run, key.private)
    (run / "replies").rename(tmp_path / "elsewhere")
    (run / "replies").symlink_to(tmp_path / "elsewhere")
    assert "replies' is a symbolic link" in refusal(run, trusted)


def test_a_file_and_its_weights_are_signed_together(tmp_path: Path, key: KeyFiles, trusted: TrustedKey) -> None:
    onnx: Any = pytest.importorskip("onnx")
    weights = onnx.numpy_helper.from_array(__import__("numpy").ones(300, "float32"), "w")
    tensor, shape = onnx.TensorProto.FLOAT, [300]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "w"], ["y"])],
        "net",
        [onnx.helper.make_tensor_value_info("x", tensor, shape)],
        [onnx.helper.make_tensor_value_info("y", tensor, shape)],
        [weights],
    )
    file = tmp_path / "net.onnx"
    onnx.save(
        onnx.helper.make_model(graph), str(file), save_as_external_data=True, location="net.data", size_threshold=0
    )
    sign(file, key.private)
    (tmp_path / "neighbour").write_text("is nobody's business")
    assert set(verify(file, trusted).digests) == {"net.onnx", "net.data"}
    (tmp_path / "net.data").write_bytes(bytes(1200))
    assert "'net.data' changed" in refusal(file, trusted)
    (tmp_path / "net.data").unlink()
    assert "'net.data' removed" in refusal(file, trusted)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "..", "a/b", "a\\b"])
def test_a_signature_that_names_a_path_outside_is_refused(
    tmp_path: Path, key: KeyFiles, trusted: TrustedKey, name: str
) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(b"x")
    signature = sign(file, key.private)
    bundle = json.loads(signature.read_bytes())
    forged = statement(signature)
    named = {"algorithm": "sha256", "digest": "0" * 64}
    forged["predicate"]["resources"] = [named | {"name": "model.tflite"}, named | {"name": name}]
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(forged).encode()).decode()
    signature.write_text(json.dumps(bundle))
    assert f"names {name!r}, which is not a file beside the signed one" in refusal(file, trusted)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1, 2",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"dsseEnvelope": {"payload": "%%%"}}',
        b'{"dsseEnvelope": {"payload": "e30="}}',
        b'{"dsseEnvelope": 7}',
    ],
)
def test_what_is_no_signature_is_refused(tmp_path: Path, trusted: TrustedKey, data: bytes) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(b"x")
    (tmp_path / "model.tflite.sig").write_bytes(data)
    assert "is no signature" in refusal(file, trusted)


@pytest.mark.parametrize("part", ["signatures", "payloadType", "mediaType"])
def test_a_bundle_without_a_part_is_refused(tmp_path: Path, key: KeyFiles, trusted: TrustedKey, part: str) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(b"x")
    signature = sign(file, key.private)
    bundle = json.loads(signature.read_bytes())
    (bundle if part in bundle else bundle["dsseEnvelope"]).pop(part)
    signature.write_text(json.dumps(bundle))
    assert "is not by the key" in refusal(file, trusted)


def test_a_file_without_a_signature_is_refused_with_the_command_that_makes_one(
    tmp_path: Path, trusted: TrustedKey
) -> None:
    (tmp_path / "model.tflite").write_bytes(b"x")
    assert f"phonebench sign {tmp_path / 'model.tflite'}" in refusal(tmp_path / "model.tflite", trusted)


def test_signing_asks_no_server(tmp_path: Path, key: KeyFiles) -> None:
    """The library's own configuration asks a server of the Sigstore project when it is made."""
    (tmp_path / "model.tflite").write_bytes(b"x")
    code = f"""
import socket
def refuse(*args, **options):
    raise SystemExit("a connection was tried")
socket.socket.connect = socket.getaddrinfo = refuse
from pathlib import Path
from harness.signing.bundle import sign, verify
from harness.signing.keys import read_trusted_key
file = Path({str(tmp_path / "model.tflite")!r})
sign(file, Path({str(key.private)!r}))
verify(file, read_trusted_key(Path({str(key.public)!r})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_first_of_several_paths_that_is_wrong_is_named(tmp_path: Path, key: KeyFiles) -> None:
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).write_bytes(b"x")
    sign(tmp_path / "a.onnx", key.private)
    with pytest.raises(SignatureError, match=r"b\.onnx"):
        require_signatures([tmp_path / "a.onnx", tmp_path / "b.onnx"], key.certificate)


@pytest.mark.parametrize(
    "name", ["run.json", "measurements.jsonl", "ab.json", "ship.toml", "replies/1.json.gz", "graphs/2.json.gz"]
)
def test_a_signed_run_covers_what_the_report_is_written_from(
    tmp_path: Path, key: KeyFiles, trusted: TrustedKey, name: str
) -> None:
    for file in ("run.json", name, "report.html"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("as signed")
    sign(tmp_path, key.private)
    (tmp_path / "report.html").write_text("written again")
    verify(tmp_path, trusted)
    (tmp_path / name).write_text("changed")
    assert f"'{name}' changed" in refusal(tmp_path, trusted)
