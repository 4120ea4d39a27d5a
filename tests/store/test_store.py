"""The results folder: readable after a kill at any instant, one writer, and nothing damaged is believed."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.errors import StoreError, UsageError
from harness.plan.cells import Plan
from harness.records.measurement import CellStatus, Measurement
from harness.spec.spec import Spec
from harness.store.probes import PROBES_FILE, keep_probes, read_probes
from harness.store.reader import find_run, list_runs, load_run, read_reply
from harness.store.records import LATEST, MEASUREMENTS_FILE, RUN_FILE, RunHead
from harness.store.writer import RunWriter, create_run, new_run_id, reopen_run, write_text
from harness.system.clock import utc_now
from harness.wire import Failure, FailureKind, ReplyStatus, RunnerInfo, RunReply, encode
from tests.report.builders import FACTS, HOST, cells

RUN = "20260101-000000-aaaa"
REPLY = RunReply(
    cell="a",
    launch=0,
    status=ReplyStatus.FAILED,
    runner=RunnerInfo(kind="fake", version="1"),
    failure=Failure(kind=FailureKind.RUN, message="no luck"),
)


def head(run_id: str = RUN) -> RunHead:
    return RunHead(
        id=run_id,
        created_at="2026-01-01T00:00:00Z",
        spec=Spec(),
        plan=Plan(cells=cells(), holes=()),
        host=HOST,
        versions={"phonebench": "1"},
        commit=None,
    )


def measured(cell: str, reason: str | None = None) -> Measurement:
    return Measurement(cell=cell, status=CellStatus.FAILED, reason=reason, started_at="", ended_at="")


@contextmanager
def written(root: Path, *names: str, run_id: str = RUN) -> Iterator[RunWriter]:
    """A run with a measurement of each of ``names``, still locked."""
    with create_run(root, head(run_id)) as writer:
        for name in names:
            writer.add(measured(name))
        yield writer


def make_run(root: Path, *names: str, run_id: str = RUN) -> Path:
    with written(root, *names, run_id=run_id) as writer:
        return writer.folder


def known(root: Path) -> list[str]:
    return [m.cell for m in load_run(root, RUN).measurements]


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    with written(tmp_path, "a", "b") as writer:
        writer.update(models=(FACTS,), devices=(HOST,))
        writer.update(finished_at="2026-01-01T00:01:00Z")
        record = writer.record()
    found = load_run(tmp_path, RUN)
    assert found == record
    assert (found.head.models, found.head.devices, found.head.plan, found.head.spec) == (
        (FACTS,),
        (HOST,),
        head().plan,
        Spec(),
    )
    assert (found.head.finished_at, known(tmp_path), found.damaged_lines) == ("2026-01-01T00:01:00Z", ["a", "b"], 0)


def test_a_run_is_readable_before_its_first_measurement(tmp_path: Path) -> None:
    with create_run(tmp_path, head()):
        assert load_run(tmp_path, RUN).measurements == ()
        assert load_run(tmp_path, RUN).head.finished_at is None


def test_each_measurement_is_there_as_soon_as_it_is_added(tmp_path: Path) -> None:
    with written(tmp_path, "a") as writer:
        assert known(tmp_path) == ["a"]
        writer.add(measured("b"))
        assert known(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("kept", [1, 40, -1])
def test_a_line_that_a_kill_cut_off_does_not_count_and_is_cut_off_when_going_on(tmp_path: Path, kept: int) -> None:
    path = make_run(tmp_path, "a", "b") / MEASUREMENTS_FILE
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:kept])
    assert known(tmp_path) == ["a"]
    assert load_run(tmp_path, RUN).damaged_lines == 0
    with reopen_run(tmp_path, RUN) as writer:
        assert path.read_bytes() == first
        writer.add(measured("c"))
    assert known(tmp_path) == ["a", "c"]


@pytest.mark.parametrize("line", [b"rubbish", b"", b"{}", b'{"schema": 1}', b'{"schema": 1, "cell": "\xff"}'])
def test_a_damaged_line_costs_its_cell_and_is_counted(tmp_path: Path, line: bytes) -> None:
    path = make_run(tmp_path, "a", "b") / MEASUREMENTS_FILE
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + line + b"\n" + second)
    assert known(tmp_path) == ["a", "b"]
    assert load_run(tmp_path, RUN).damaged_lines == 1


def test_the_later_measurement_of_a_cell_counts(tmp_path: Path) -> None:
    with written(tmp_path, "a", "b") as writer:
        writer.add(measured("a", reason="again"))
    assert [(m.cell, m.reason) for m in load_run(tmp_path, RUN).measurements] == [("a", "again"), ("b", None)]


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    with (
        written(tmp_path),
        pytest.raises(StoreError, match=f"'{RUN}' is in use"),
        reopen_run(tmp_path, RUN),
    ):
        pass
    with reopen_run(tmp_path, RUN) as writer:
        assert writer.head == head()


def test_a_reader_does_not_wait_for_the_writer(tmp_path: Path) -> None:
    with written(tmp_path, "a"):
        assert known(tmp_path) == ["a"]


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    make_run(tmp_path, "a")
    with pytest.raises(StoreError, match="cannot write"), create_run(tmp_path, head()):
        pass
    assert known(tmp_path) == ["a"]


@pytest.mark.parametrize("name", ["20260101-000000-aaaa", "20260101-000000-a", "20260101-000000", "20260101"])
def test_a_run_is_found_by_its_id_and_by_a_prefix_of_it(tmp_path: Path, name: str) -> None:
    make_run(tmp_path)
    make_run(tmp_path, run_id="20260202-000000-bbbb")
    assert find_run(tmp_path, name) == tmp_path / RUN


def test_an_id_that_begins_another_is_not_ambiguous(tmp_path: Path) -> None:
    make_run(tmp_path)
    make_run(tmp_path, run_id=f"{RUN}-2")
    assert find_run(tmp_path, RUN) == tmp_path / RUN


def test_the_latest_run_is_the_newest(tmp_path: Path) -> None:
    for run_id in ("20260202-000000-bbbb", RUN):
        make_run(tmp_path, run_id=run_id)
    (tmp_path / "zzz").mkdir()
    assert list_runs(tmp_path) == (RUN, "20260202-000000-bbbb")
    assert find_run(tmp_path, LATEST) == tmp_path / "20260202-000000-bbbb"


def test_a_run_is_found_by_its_path_from_anywhere(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "elsewhere")
    assert find_run(tmp_path / "results", str(folder)) == folder
    assert load_run(tmp_path / "results", str(folder)).head.id == RUN


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("2026", "'2026' fits 2 runs (20260101-000000-aaaa, 20260202-000000-bbbb)"),
        ("2027", "'2027' is not a run in"),
        ("2027", "the newest is '20260202-000000-bbbb'"),
    ],
)
def test_a_name_that_fits_no_run_or_several_is_refused(tmp_path: Path, name: str, words: str) -> None:
    make_run(tmp_path)
    make_run(tmp_path, run_id="20260202-000000-bbbb")
    with pytest.raises(UsageError) as caught:
        find_run(tmp_path, name)
    assert words in str(caught.value)


def test_a_path_without_a_run_is_named_with_what_it_lacks(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    make_run(tmp_path / "some")
    for results in (tmp_path / "none", tmp_path / "some"):
        with pytest.raises(UsageError, match=r"pictures' has no run\.json, so it is not a run"):
            find_run(results, str(pictures))


def test_without_runs_the_message_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are no runs .* phonebench run"):
        load_run(tmp_path / "results", LATEST)


@pytest.mark.parametrize("file", [RUN_FILE, MEASUREMENTS_FILE])
def test_another_schema_is_refused_naming_both(tmp_path: Path, file: str) -> None:
    path = make_run(tmp_path, "a") / file
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"schema": 1', b'"schema": 99', 1).replace(b'"schema":1', b'"schema":99', 1))
    with pytest.raises(StoreError, match=f"{file}' has schema 99, but this phonebench reads schema 1"):
        load_run(tmp_path, RUN)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"host"', b'"h\xffst"'), (b'"versions"', b'"verses"'), (b'"int8-dynamic"', b'"int7"'), (b"{", b"")],
)
def test_a_damaged_head_is_a_store_error(tmp_path: Path, old: bytes, new: bytes) -> None:
    path = make_run(tmp_path) / RUN_FILE
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(StoreError, match="run.json' cannot be read"):
        load_run(tmp_path, RUN)


def test_a_kept_reply_is_read_by_its_digest_and_kept_once(tmp_path: Path) -> None:
    with written(tmp_path) as writer:
        digests = {writer.keep(encode(REPLY), ".json") for _ in range(2)}
        (digest,) = digests
        assert read_reply(writer.record(), digest) == REPLY
        assert [f.name for f in (writer.folder / "replies").iterdir()] == [f"{digest}.json.gz"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(encode(replace(REPLY, cell="b")), mtime=0), "has changed"),
        (gzip.compress(b'"\xff"', mtime=0), "has changed"),
        (gzip.compress(encode(REPLY), mtime=0)[:20], "cannot be read"),
        (b"rubbish", "cannot be read"),
        (b"", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_reply_that_changed_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    with written(tmp_path) as writer:
        digest = writer.keep(encode(REPLY), ".json")
        record = writer.record()
    path = record.directory / "replies" / f"{digest}.json.gz"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=words):
        read_reply(record, digest)


@pytest.mark.parametrize("data", [b"rubbish", b'{"schema": 1, "cell": "\xff"}', b'{"schema": 2}'])
def test_a_kept_reply_that_never_was_one_is_refused(tmp_path: Path, data: bytes) -> None:
    with written(tmp_path) as writer:
        digest = writer.keep(data, ".json")
        with pytest.raises(StoreError, match="cannot be read"):
            read_reply(writer.record(), digest)


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    with written(tmp_path) as writer:
        (writer.folder / MEASUREMENTS_FILE).symlink_to("/dev/full")
        with pytest.raises(StoreError, match="no space left .* free some"):
            writer.add(measured("a"))


@pytest.mark.parametrize("name", ["replies", RUN_FILE])
def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path, name: str) -> None:
    with written(tmp_path) as writer:
        path = writer.folder / name
        if name == RUN_FILE:
            path.unlink()
            path.mkdir()
        else:
            path.rmdir()
            path.write_text("a file where a folder should be")
        with pytest.raises(StoreError, match="cannot write to"):
            writer.keep(b"data", ".json") if name == "replies" else writer.update(finished_at="now")


def test_a_lock_that_cannot_be_taken_is_a_sentence(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    (folder / ".lock").unlink(missing_ok=True)
    (folder / ".lock").mkdir()
    with pytest.raises(StoreError, match="cannot write to"), reopen_run(tmp_path, RUN):
        pass


def test_nothing_half_written_is_left_beside_the_results(tmp_path: Path) -> None:
    with written(tmp_path, "a") as writer:
        write_text(writer.record(), "charts/one.svg", "<svg/>")
        writer.keep(b"data", ".json")
    assert (tmp_path / RUN / "charts" / "one.svg").read_text() == "<svg/>"
    assert list((tmp_path / RUN).rglob("*.part")) == []


def test_ids_sort_by_time_and_differ_within_a_second() -> None:
    early, late = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)
    ids = {new_run_id(early) for _ in range(20)}
    assert len(ids) > 15
    assert max(ids) < new_run_id(late)
    assert max(ids) < new_run_id(early + timedelta(milliseconds=1))
    assert all(run_id.startswith("20260102-030405-") for run_id in ids)


def test_times_are_utc() -> None:
    now = utc_now()
    assert now.endswith("Z")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(now)).total_seconds() < 60


@pytest.mark.parametrize("damage", [None, b"{", b'{"host": "fast"}'])
def test_the_best_probes_are_kept_and_a_damaged_file_holds_none(tmp_path: Path, damage: bytes | None) -> None:
    assert read_probes(tmp_path) == {}
    keep_probes(tmp_path, {"host": 10})
    if damage is not None:
        (tmp_path / PROBES_FILE).write_bytes(damage)
    assert read_probes(tmp_path) == ({} if damage else {"host": 10})
