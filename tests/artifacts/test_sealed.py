"""An encrypted cache: nothing in the clear on the disk, and nothing lost or left behind when something goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.artifacts.cache import Cache
from harness.artifacts.sealed import KEY_VARIABLE, create_identity, read_identity
from harness.errors import SignatureError
from tests.conftest import MISSING

pyrage: Any = pytest.importorskip("pyrage", reason=f"{MISSING}pyrage; make setup")
ROOT = Path(__file__).parents[2]
SECRET = b"the weights that nobody may see" * 4000
KEY = "ab" * 32

MAKE = """
import os, resource, sys, time
from pathlib import Path
from harness.artifacts.cache import Cache
if (most := [int(word.partition("=")[2]) for word in sys.argv if word.startswith("--most-bytes=")]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most[0], most[0]))
cache = Cache(Path(sys.argv[1]))
def make(folder):
    (folder / "weights.bin").write_bytes(Path(sys.argv[2]).read_bytes())
    if "--stop-while-making" in sys.argv:
        print(folder, flush=True); time.sleep(600)
plain = cache.find_or_make("variants", "ab" * 32, lambda folder: folder / "weights.bin", make)
print(plain, flush=True)
if "--stop" in sys.argv:
    time.sleep(600)
"""


@pytest.fixture
def key(tmp_path: Path) -> Path:
    create_identity(tmp_path / "cache.key")
    return tmp_path / "cache.key"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    return path


def command(cache: Path, secret: Path, *options: str) -> list[str]:
    return [sys.executable, "-c", MAKE, str(cache), str(secret), *options]


def make(cache: Path, key: Path, secret: Path, *options: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {KEY_VARIABLE: str(key), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command(cache, secret, *options), env=env, capture_output=True, text=True, check=False)


def plain_below(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and SECRET[:31] in file.read_bytes()]


@pytest.fixture
def stopped(tmp_path: Path, key: Path, secret: Path, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """A process that holds a plain file, and the path of that."""
    env = os.environ | {KEY_VARIABLE: str(key), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command(tmp_path / "cache", secret, request.param), env=env, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    path = Path(process.stdout.readline().strip())
    process.kill()
    process.wait()
    process.stdout.close()
    return path, tmp_path / "cache"


def test_what_lies_on_the_disk_is_an_age_file(tmp_path: Path, key: Path, secret: Path) -> None:
    done = make(tmp_path / "cache", key, secret)
    assert done.returncode == 0, done.stderr
    (entry,) = (tmp_path / "cache" / "variants").rglob("*.age")
    assert entry.name == "weights.bin.age"
    assert pyrage.decrypt(entry.read_bytes(), [read_identity(key)]) == SECRET
    assert plain_below(tmp_path / "cache") == []
    assert not Path(done.stdout.strip()).exists()


def test_an_entry_is_read_again_with_the_same_key_only(tmp_path: Path, key: Path, secret: Path) -> None:
    assert make(tmp_path / "cache", key, secret).returncode == 0
    secret.write_bytes(b"must not be made again")
    done = make(tmp_path / "cache", key, secret)
    assert done.returncode == 0, done.stderr
    create_identity(tmp_path / "other.key")
    done = make(tmp_path / "cache", tmp_path / "other.key", secret)
    assert "is encrypted for another key than" in done.stderr
    (entry,) = (tmp_path / "cache" / "variants").rglob("*.age")
    assert pyrage.decrypt(entry.read_bytes(), [read_identity(key)]) == SECRET


def test_an_encrypted_cache_is_not_taken_for_a_damaged_one(tmp_path: Path, key: Path, secret: Path) -> None:
    assert make(tmp_path / "cache", key, secret).returncode == 0
    with pytest.raises(SignatureError, match=f"is encrypted: set {KEY_VARIABLE}"):
        Cache(tmp_path / "cache").entry("variants", KEY, lambda folder: folder)
    assert list((tmp_path / "cache" / "variants").rglob("*.age"))


def test_what_was_made_before_there_was_a_key_is_made_again(tmp_path: Path, key: Path, secret: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "weights.bin").write_bytes(SECRET)

    Cache(tmp_path / "cache").find_or_make("variants", KEY, lambda folder: folder, write)
    assert plain_below(tmp_path / "cache")
    assert make(tmp_path / "cache", key, secret).returncode == 0
    assert plain_below(tmp_path / "cache") == []


def test_a_damaged_entry_is_made_again(tmp_path: Path, key: Path, secret: Path) -> None:
    assert make(tmp_path / "cache", key, secret).returncode == 0
    (entry,) = (tmp_path / "cache" / "variants").rglob("*.age")
    data = bytearray(entry.read_bytes())
    data[-1] ^= 1
    entry.write_bytes(data)
    done = make(tmp_path / "cache", key, secret)
    assert done.returncode == 0, done.stderr
    assert pyrage.decrypt(entry.read_bytes(), [read_identity(key)]) == SECRET


@pytest.mark.parametrize("stopped", ["--stop", "--stop-while-making"], indirect=True)
def test_plain_files_of_a_process_that_was_killed_are_removed_by_the_next(
    stopped: tuple[Path, Path], key: Path, secret: Path
) -> None:
    path, cache = stopped
    assert path.exists()
    done = make(cache, key, secret)
    assert done.returncode == 0, done.stderr
    assert not path.exists()


def test_a_disk_that_fills_while_decrypting_leaves_nothing_in_the_clear(
    tmp_path: Path, key: Path, secret: Path
) -> None:
    assert make(tmp_path / "cache", key, secret).returncode == 0

    done = make(tmp_path / "cache", key, secret, f"--most-bytes={len(SECRET) // 2}")
    assert done.returncode != 0
    assert "cannot write to" in done.stderr, done.stderr
    memory = Path("/dev/shm")
    left = [folder for folder in memory.glob("phonebench-plain-*") if plain_below(folder)] if memory.is_dir() else []
    assert left == []
    assert make(tmp_path / "cache", key, secret).returncode == 0


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("age1ffswp5af3xse49rahe4yfzfcfsumppnnw4uzryj00wyxqlwwyd8qm9mcnn\n", 0o600, "holds no secret key of age"),
        ("age-encryption.org/v1\n-> scrypt abc 18\n", 0o600, "is encrypted"),
        ("AGE-SECRET-KEY-1AAAA\n", 0o600, "is damaged"),
        ("AGE-SECRET-KEY-1AAAA\n", 0o644, "can be read by other users .mode 0644.; first: chmod 600"),
        ("", 0o600, "holds no secret key of age"),
    ],
)
def test_a_key_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path, text: str, mode: int, words: str) -> None:
    file = tmp_path / "my.key"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(SignatureError, match=rf"my\.key.*{words}"):
        read_identity(file)


def test_a_key_is_private_and_never_overwritten(tmp_path: Path, key: Path) -> None:
    assert key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(SignatureError, match="exists"):
        create_identity(key)
    with pytest.raises(SignatureError, match="cannot be read"):
        read_identity(tmp_path / "nowhere")


@pytest.mark.slow
def test_no_copy_of_an_artifact_is_left_by_a_run(tmp_path: Path, key: Path) -> None:
    """The whole command line: built, verified, measured. The artifact's own bytes are looked for everywhere."""
    env = os.environ | {KEY_VARIABLE: str(key), "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    options = ["digits", "-f", "onnx", "-v", "fp32", "--cache-dir", "cache"]
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", *options], cwd=tmp_path, env=env, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (entry,) = (tmp_path / "cache" / "artifacts").rglob("model.onnx.age")
    data = pyrage.decrypt(entry.read_bytes(), [read_identity(key)])
    middle = data[len(data) // 2 : len(data) // 2 + 64]
    copies = [f for f in tmp_path.rglob("*") if f.is_file() and middle in f.read_bytes()]
    assert copies == []
    assert not any(middle in f.read_bytes() for f in Path("/dev/shm").rglob("phonebench-plain-*/**/*") if f.is_file())
