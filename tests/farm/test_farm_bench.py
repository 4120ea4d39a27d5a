"""One device of an agent: a hang is ended, one cell at a time, and a result is on disk before anybody hears of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from harness.artifacts.manifest import Companion
from harness.devices.device import Device, Execution
from harness.devices.fake.fake import FakePhone
from harness.errors import DeviceError, StoreError
from harness.farm.bench import LOSSES_IN_A_ROW, Bench, Site, Spool
from harness.farm.calls import AgentPost, Claim, Claimed, Outcome
from harness.farm.parcel import read_head
from harness.farm.work import FileRef, Rival, Work, pack
from harness.measure.pairs import PairPlan
from harness.signing.bundle import bundle_of
from harness.signing.keys import KeyFiles, create_key
from harness.spec.phone_settings import DEFAULT_SETTINGS, PhoneSettings
from harness.system.files import file_sha256
from harness.wire import RunRequest
from tests.farm.phones import Shelf, ends, overlaps, short_jobs
from tests.farm.test_agent import Post


@dataclass
class Sources(Post):
    """A depot that has the files of this host."""

    files: dict[str, Path] = field(default_factory=dict)
    go: bool = True
    on_disk: list[bool] = field(default_factory=list)

    def claim(self, claim: Claim) -> Claimed:
        del claim
        return Claimed(go=self.go)

    def fetch(self, sha256: str, folder: Path) -> Path:
        del folder
        return self.files[sha256]

    def deliver(self, outcome: Outcome, parcel: Path | None) -> None:
        self.on_disk.append(parcel is not None and read_head(parcel).cell == outcome.cell)
        super().deliver(outcome, parcel)


class HungPhone(FakePhone):
    """Its launches last until it is cleaned, as a process that is killed ends."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.cleaned = threading.Event()

    def execute(self, request: RunRequest, inputs: Path, deadline_s: float) -> Execution:
        del request, inputs, deadline_s
        assert self.cleaned.wait(60)
        msg = "the launch was ended"
        raise DeviceError(msg, one_cell=True)

    def clean(self) -> None:
        self.cleaned.set()


@contextlib.contextmanager
def open_hung(key: str, settings: PhoneSettings) -> Iterator[Device]:
    del settings
    yield HungPhone(key)


def works(folder: Path, post: Sources, count: int, *, device: str = "fake:1") -> list[Work]:
    """Return the work of ``count`` cells, whose files ``post`` then has."""
    packed = [pack("night", job, DEFAULT_SETTINGS) for job in short_jobs(folder, [device], count)]
    for one in packed:
        post.files |= one.sources
    return [one.work for one in packed]


def site(folder: Path, post: AgentPost, opener: object = None) -> Site:
    shelf = Shelf(log=folder / "log", seconds=0.01)
    return Site(
        agent="rack1",
        post=post,
        spool=Spool(folder / "spool"),
        files=folder / "files",
        opener=opener or shelf.open,  # type: ignore[arg-type]
    )


def test_a_result_is_on_disk_before_the_depot_hears_of_it_and_gone_once_it_has_it(tmp_path: Path) -> None:
    post = Sources()
    (work,) = works(tmp_path, post, 1)
    bench = Bench("fake:1", site(tmp_path, post))
    assert bench.run(work) == "done"
    assert post.on_disk == [True]
    assert list((tmp_path / "spool").iterdir()) == []
    bench.close()


def test_a_result_that_cannot_be_delivered_waits_and_is_not_measured_again(tmp_path: Path) -> None:
    post = Sources(away=True)
    (work,) = works(tmp_path, post, 1)
    bench = Bench("fake:1", site(tmp_path, post))
    assert [bench.run(work), bench.run(work)] == ["waits", "waits"]
    assert set(ends(tmp_path / "log").values()) == {1}
    # As after kill -9 of the agent: a new spool in the same folder.
    post.away = False
    Spool(tmp_path / "spool").hand_over(post)
    assert [outcome.cell for outcome in post.delivered] == [work.job.cell.key]
    bench.close()


def test_a_cell_that_nobody_wants_any_more_is_not_measured(tmp_path: Path) -> None:
    post = Sources(go=False)
    (work,) = works(tmp_path, post, 1)
    assert Bench("fake:1", site(tmp_path, post)).run(work) == "refused"
    assert ends(tmp_path / "log") == {}


def test_a_cell_that_hangs_is_ended_at_its_deadline(tmp_path: Path) -> None:
    post = Sources()
    (work,) = works(tmp_path, post, 1)
    bench = Bench("fake:1", site(tmp_path, post, open_hung))
    assert bench.run(replace(work, deadline_s=0.05)) == "lost"
    assert "ended" in post.delivered[0].reason


def test_a_cell_whose_run_was_stopped_is_ended(tmp_path: Path) -> None:
    post = Sources()
    (work,) = works(tmp_path, post, 1)
    bench = Bench("fake:1", site(tmp_path, post, open_hung))
    thread = threading.Thread(target=bench.run, args=(work,))
    thread.start()
    while bench._open is None:
        thread.join(0.01)
    bench.interrupt("the run was stopped")
    thread.join(60)
    assert post.delivered[0].reason in ("the run was stopped", "the launch was ended")
    # Another attempt may well succeed.
    assert not post.delivered[0].final


def test_two_cells_never_run_on_a_device_whatever_the_queue_does(tmp_path: Path) -> None:
    post = Sources()
    bench = Bench("fake:1", site(tmp_path, post))
    threads = [threading.Thread(target=bench.run, args=(work,)) for work in works(tmp_path, post, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert overlaps(tmp_path / "log") == []
    assert len(ends(tmp_path / "log")) == 8
    bench.close()


def test_a_device_that_loses_cell_after_cell_is_not_trusted_until_it_is_opened_again(tmp_path: Path) -> None:
    post = Sources()
    bench = Bench("fake:full-1", site(tmp_path, post))
    for work in works(tmp_path, post, LOSSES_IN_A_ROW, device="fake:full-1"):
        assert bench.trouble == ""
        assert bench.run(work) == "lost"
    assert "no space" in bench.trouble


def test_a_damaged_result_does_not_keep_the_others_from_the_depot(tmp_path: Path) -> None:
    @dataclass
    class Strict(Sources):
        """A depot that notices a digest that does not match."""

        damaged: str = ""

        def deliver(self, outcome: Outcome, parcel: Path | None) -> None:
            if outcome.parcel == self.damaged:
                msg = f"the depot does not take {outcome.parcel!r}"
                raise StoreError(msg)
            super().deliver(outcome, parcel)

    post = Strict(away=True)
    bench = Bench("fake:1", site(tmp_path, post))
    for work in works(tmp_path, post, 2):
        assert bench.run(work) == "waits"
    bench.close()
    spool = Spool(tmp_path / "spool")
    first, second = spool.waiting()
    post.away, post.damaged = False, first.parcel
    spool.hand_over(post)
    assert [outcome.cell for outcome in post.delivered] == [second.cell]
    assert spool.waiting() == ()
    assert (tmp_path / "spool" / first.parcel).is_file()


def test_half_a_parcel_of_a_killed_agent_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / ".parcel-abc").write_bytes(b"half")
    assert Spool(tmp_path / "spool").waiting() == ()
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[KeyFiles, KeyFiles]:
    folder = tmp_path_factory.mktemp("keys")
    return create_key(folder / "ours", days=30), create_key(folder / "other", days=30)


def strangers(folder: Path) -> Path:
    """Another file with the artifact's name."""
    folder.mkdir()
    path = folder / "model.onnx"
    path.write_bytes(b"another model")
    return path


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        ("none", ""),
        ("unsigned", "came without a signature"),
        ("other key", "is not by the key"),
        ("other file's signature", "is not of the file 'model.onnx'"),
        ("no signature", "is no signature"),
        ("artifact named as the inputs", "not what it says"),
        ("digest of a file that the phone has", "not what it says"),
        ("a second file", "is not of the file 'more.bin'"),
        ("a path", "not a plain name"),
        ("the other side of pairs", "is not of the file 'model.onnx'"),
    ],
)
def test_an_agent_with_a_key_measures_only_what_the_key_has_signed(
    tmp_path: Path, keys: tuple[KeyFiles, KeyFiles], attack: str, reason: str
) -> None:
    post = Sources()
    (work,) = works(tmp_path, post, 1)
    source, foreign = post.files[work.files[0].sha256], strangers(tmp_path / "other")
    digest = file_sha256(foreign)
    post.files[digest] = foreign
    signature = bundle_of(source, keys[0].private).decode()
    job = replace(work.job, signature=signature)
    manifest = job.artifact.manifest
    more = FileRef(name="more.bin", sha256=digest)
    match attack:
        case "unsigned":
            job = work.job
        case "other key":
            job = replace(job, signature=bundle_of(source, keys[1].private).decode())
        case "other file's signature":
            job = replace(job, signature=bundle_of(foreign, keys[0].private).decode())
        case "no signature":
            job = replace(job, signature="{}")
        case "artifact named as the inputs":
            work = replace(work, inputs=FileRef(name=work.files[0].name, sha256=digest))
        case "digest of a file that the phone has":
            job = replace(job, artifact=replace(job.artifact, manifest=replace(manifest, sha256=digest)))
        case "a second file":
            part = Companion(file=more.name, sha256=digest, bytes=13)
            job = replace(job, artifact=replace(job.artifact, manifest=replace(manifest, companions=(part,))))
            work = replace(work, files=(*work.files, more))
        case "a path":
            work = replace(work, files=(*work.files, replace(more, name="../more.bin")))
        case "the other side of pairs":
            other = replace(job, artifact=replace(job.artifact, manifest=replace(manifest, sha256=digest)))
            files = (FileRef(name=work.files[0].name, sha256=digest),)
            rival = Rival(session="pairs", job=other, files=files, inputs=work.inputs, plan=PairPlan())
            work = replace(work, rival=rival)
    bench = Bench("fake:1", replace(site(tmp_path, post), trusted=keys[0].public))
    assert bench.run(replace(work, job=job)) == ("lost" if reason else "done")
    assert (len(ends(tmp_path / "log")) > 0) == (not reason)
    outcome = post.delivered[-1]
    assert reason in outcome.reason, outcome.reason
    # Trying again would not sign it.
    assert outcome.final == ("signature" in outcome.reason)
    bench.close()
