"""The cache: an entry exists completely or not at all, and a damaged one is deleted."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from filelock import Timeout

from harness.artifacts.cache import MANIFEST_FILE, STALE_SECONDS, Cache
from harness.artifacts.manifest import ArtifactState, Manifest
from harness.artifacts.sources.prepared_model import (
    CALIBRATION_FILE,
    LABELS_FILE,
    PREPARED_FILE,
    REFERENCE_FILE,
    read_prepared,
)
from harness.errors import BuildError, StoreError
from harness.system.files import storage_errors
from harness.wire import INPUTS_FILE
from tests.artifacts.builders import FACTS, KEY, make_manifest, make_prepared, sha256

CONTENT = b"a whole model"
KILLED_MAKER = """
import os, signal, sys
from pathlib import Path
from harness.artifacts.cache import Cache
with Cache(Path(sys.argv[1])).making("artifacts", sys.argv[2]) as folder:
    (folder / "manifest.json").write_text("{}")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def put(cache: Cache, manifest: Manifest | None = None, content: bytes | None = CONTENT) -> Path:
    """Make the entry of `KEY` and return its folder."""
    known = manifest or make_manifest(file="model.onnx", sha256=sha256(CONTENT))
    with cache.making("artifacts", known.key) as folder:
        if content is not None:
            (folder / "model.onnx").write_bytes(content)
        (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(known))
    return cache.folder("artifacts", known.key)


def read_text(folder: Path) -> str:
    """Read an entry of one text file; empty text counts as damage."""
    text = (folder / "text").read_text()
    if not text:
        raise ValueError("the text is empty")  # noqa: EM101
    return text


def staged(cache: Cache) -> list[Path]:
    return list((cache.root / "staging").iterdir())


def test_an_entry_is_given_back_as_it_was_made(cache: Cache) -> None:
    put(cache)
    found = Cache(cache.root).artifact(KEY)
    assert found is not None
    assert found.path is not None
    assert (found.manifest.key, found.path.read_bytes()) == (KEY, CONTENT)


def test_an_entry_appears_only_when_its_making_has_ended(cache: Cache) -> None:
    with cache.making("artifacts", KEY) as folder:
        (folder / "model.onnx").write_bytes(CONTENT)
        (folder / MANIFEST_FILE).write_bytes(
            msgspec.json.encode(make_manifest(file="model.onnx", sha256=sha256(CONTENT)))
        )
        assert cache.artifact(KEY) is None
    assert cache.artifact(KEY) is not None
    assert staged(cache) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_making_that_fails_leaves_nothing(cache: Cache, error: type[BaseException]) -> None:
    def make() -> None:
        with cache.making("artifacts", KEY) as folder:
            (folder / MANIFEST_FILE).write_text("{}")
            raise error

    with pytest.raises(error):
        make()
    assert not cache.folder("artifacts", KEY).exists()
    assert staged(cache) == []


def test_a_maker_that_is_killed_leaves_no_entry(cache: Cache) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_MAKER, str(cache.root), KEY], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(staged(cache)) == 1
    assert cache.artifact(KEY) is None


def test_making_again_replaces_the_entry(cache: Cache) -> None:
    put(cache)
    put(cache, make_manifest(file="model.onnx", sha256=sha256(b"other")), b"other")
    found = cache.artifact(KEY)
    assert found is not None
    assert found.path is not None
    assert found.path.read_bytes() == b"other"


def test_a_variant_that_cannot_be_made_is_an_entry_without_a_file(cache: Cache) -> None:
    put(cache, make_manifest(state=ArtifactState.UNSUPPORTED, reason="no such kernel"), None)
    found = cache.artifact(KEY)
    assert found is not None
    assert (found.path, found.manifest.reason) == (None, "no such kernel")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (MANIFEST_FILE, lambda data: data[: len(data) // 2]),
        (MANIFEST_FILE, lambda _: b"rubbish"),
        (MANIFEST_FILE, lambda data: data.replace(b"tiny", b"t\xffny")),
        (MANIFEST_FILE, lambda data: data.replace(b'"schema":2', b'"schema":99')),
        (MANIFEST_FILE, lambda data: data.replace(b'"onnx"', b'"tape"')),
        (MANIFEST_FILE, lambda _: None),
        ("model.onnx", lambda data: data[:-1]),
        ("model.onnx", lambda data: data.replace(b"w", b"W")),
        ("model.onnx", lambda _: None),
    ],
)
def test_a_damaged_entry_is_dropped(cache: Cache, name: str, damage: Callable[[bytes], bytes | None]) -> None:
    folder = put(cache)
    changed = damage((folder / name).read_bytes())
    if changed is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(changed)
    assert cache.artifact(KEY) is None
    assert not folder.exists()


@pytest.mark.parametrize("name", [PREPARED_FILE, INPUTS_FILE, CALIBRATION_FILE, REFERENCE_FILE, LABELS_FILE])
def test_a_damaged_prepared_model_is_dropped(cache: Cache, name: str) -> None:
    folder = cache.folder("prepared", KEY)
    make_prepared(folder, np.eye(3, dtype=np.float32), [0, 1, 2])
    assert cache.entry("prepared", KEY, read_prepared) is not None
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert cache.entry("prepared", KEY, read_prepared) is None
    assert not folder.exists()


def test_a_prepared_model_of_another_schema_is_refused(tmp_path: Path) -> None:
    make_prepared(tmp_path, np.eye(3, dtype=np.float32), schema=FACTS.schema + 1)
    with pytest.raises(ValueError, match=f"schema {FACTS.schema + 1}"):
        read_prepared(tmp_path)


@pytest.mark.parametrize(("age_s", "kept"), [(STALE_SECONDS + 60, False), (STALE_SECONDS - 60, True), (0, True)])
def test_only_stale_staging_folders_are_swept(cache: Cache, age_s: float, kept: bool) -> None:
    folder = cache.root / "staging" / "abc"
    folder.mkdir()
    (folder / "half").write_text("")
    os.utime(folder, (time.time() - age_s,) * 2)
    Cache(cache.root)
    assert folder.exists() is kept


def test_usage_counts_entries_and_bytes(cache: Cache) -> None:
    assert (cache.usage().entries, cache.usage().bytes) == (0, 0)
    folder = put(cache)
    make_prepared(cache.folder("prepared", KEY), np.eye(2, dtype=np.float32))
    files = [*folder.iterdir(), *cache.folder("prepared", KEY).iterdir()]
    assert (cache.usage().entries, cache.usage().bytes) == (2, sum(f.stat().st_size for f in files))


def test_clearing_says_what_there_was_and_leaves_a_usable_cache(cache: Cache) -> None:
    put(cache)
    before = cache.usage()
    with cache.lock(KEY):
        assert cache.clear() == before
        assert (cache.root / "locks" / f"{KEY}.lock").exists()
    assert cache.artifact(KEY) is None
    assert cache.usage().entries == 0
    put(cache)
    assert cache.artifact(KEY) is not None


def test_one_maker_at_a_time_holds_a_key(cache: Cache) -> None:
    with cache.lock(KEY):
        with pytest.raises(Timeout):
            Cache(cache.root).lock(KEY).acquire(timeout=0)
        Cache(cache.root).lock("another").acquire(timeout=0).lock.release()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "no space left for '/some/place': free some"),
        (errno.EDQUOT, "no space left"),
        (errno.EACCES, "cannot write to '/some/place' (Permission denied): make it writable"),
        (errno.EROFS, "Read-only"),
        (errno.ENOTDIR, "choose another folder"),
    ],
)
def test_what_a_disk_does_is_told_in_words(code: int, words: str) -> None:
    with pytest.raises(StoreError) as caught, storage_errors(Path("/some/place")):
        raise OSError(code, os.strerror(code))
    assert words in str(caught.value)


def test_an_error_of_other_code_unrelated_to_the_disk_passes_through() -> None:
    with pytest.raises(FileNotFoundError), storage_errors(Path("/some/place"), runs_other_code=True):
        raise FileNotFoundError(errno.ENOENT, "no such file")


def test_every_error_of_our_own_writing_is_a_sentence() -> None:
    with pytest.raises(StoreError, match="no such file"), storage_errors(Path("/some/place")):
        raise FileNotFoundError(errno.ENOENT, "no such file")


def test_a_cache_at_the_path_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write to"):
        Cache(tmp_path / "file")


def test_a_full_disk_while_making_is_a_store_error(cache: Cache) -> None:
    with pytest.raises(StoreError, match="no space left"), cache.making("artifacts", KEY):
        Path("/dev/full").write_bytes(CONTENT)
    assert cache.artifact(KEY) is None


def test_a_manifest_in_words_is_read_as_it_was_written(cache: Cache) -> None:
    manifest = make_manifest(sqnr_db=31.5, agreement=0.99, gate_inputs=64, seconds=1.5, log="x.log")
    put(cache, replace(manifest, file="model.onnx", sha256=sha256(CONTENT), bytes=len(CONTENT)))
    found = cache.artifact(KEY)
    assert found is not None
    assert found.manifest == replace(manifest, file="model.onnx", sha256=sha256(CONTENT), bytes=len(CONTENT))


def test_what_a_killed_process_left_is_discarded_and_nothing_else(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    code = (
        "import os, signal, sys; from pathlib import Path; from harness.artifacts.cache import Cache\n"
        "with Cache(Path(sys.argv[1])).making('artifacts', 'ab' * 32) as folder:\n"
        "    (folder / 'half').write_text('x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    assert killed.wait() < 0
    with cache.making("artifacts", "cd" * 32) as own:
        assert len(list((tmp_path / "staging").iterdir())) == 2
        cache.discard(killed.pid)
        assert list((tmp_path / "staging").iterdir()) == [own]


def test_an_entry_is_made_once_and_again_when_damaged(cache: Cache) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "text").write_text("content")

    assert [cache.find_or_make("scans", KEY, read_text, make) for _ in range(2)] == ["content", "content"]
    assert len(made) == 1
    (cache.folder("scans", KEY) / "text").write_text("")
    assert cache.find_or_make("scans", KEY, read_text, make) == "content"
    assert len(made) == 2


def test_an_error_while_making_an_entry_leaves_none(cache: Cache) -> None:
    def fail(folder: Path) -> None:
        (folder / "text").write_text("half")
        raise BuildError("no network")  # noqa: EM101

    with pytest.raises(BuildError, match="no network"):
        cache.find_or_make("scans", KEY, read_text, fail)
    assert cache.entry("scans", KEY, read_text) is None
    assert staged(cache) == []
