"""What one cell takes to its device: the job without anything that only its owner has, and the digests of its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.artifacts.manifest import Artifact, check_files
from harness.artifacts.sources.prepared_model import PreparedModel
from harness.errors import StoreError
from harness.measure.job import Job
from harness.measure.pairs import BLOCK, PairPlan, block_of
from harness.measure.request import job_feed
from harness.model.card import ModelCard, SourceKind, Task
from harness.spec.phone_settings import PhoneSettings
from harness.system.files import file_sha256, plain_name

# Beyond the deadlines of its launches, a cell may wait for its device to cool down and repeat launches.
REST_S = 900.0
# A resumed run reads the signature beside a ready-made file again, but its spec says whether it signs what it builds.
_SIGN_BUILT = "start a new run with --sign KEY"
_SIGN_READY = f"sign it (phonebench sign FILE --key KEY), or {_SIGN_BUILT}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRef:
    """A file that a job needs: its name there, and its digest, by which it is fetched."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Side B of a session of pairs; the work that has it is side A. ``session`` names the session within its run."""

    session: str
    job: Job
    files: tuple[FileRef, ...]
    inputs: FileRef
    plan: PairPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A cell on its way to an agent. ``job`` has no paths of the owner's; ``deadline_s`` bounds the whole cell.

    The labels, the float network and the model's own code stay with the owner, who computes the measurement. With a
    ``rival``, the job is not measured by itself but compared with it.
    """

    run: str
    device: str
    job: Job
    files: tuple[FileRef, ...]
    inputs: FileRef
    settings: PhoneSettings
    deadline_s: float
    rival: Rival | None = None

    @property
    def cell(self) -> str:
        """The name of this work within its run."""
        return self.job.cell.key if self.rival is None else self.rival.session


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Work, and where its files are on this host, by their digests."""

    work: Work
    sources: dict[str, Path]


def pack(run: str, job: Job, settings: PhoneSettings, digest: Callable[[Path], str] = file_sha256) -> Packed:
    """Return what an agent needs of ``job``. ``digest`` may remember the digests of files that several jobs share."""
    manifest, path = job.artifact.manifest, job.artifact.path
    assert path is not None, "only cells with an artifact are queued"
    feed = job_feed(job)
    inputs = FileRef(name=feed.path.name, sha256=digest(feed.path))
    files = [FileRef(name=manifest.file or path.name, sha256=manifest.sha256 or digest(path))]
    files += [FileRef(name=part.file, sha256=part.sha256) for part in manifest.companions]
    sources = {ref.sha256: path.with_name(ref.name) for ref in files} | {inputs.sha256: feed.path}
    sources[files[0].sha256] = path
    bare = replace(
        job,
        card=_bare_card(job),
        artifact=Artifact(manifest=manifest, path=None),
        model=PreparedModel(facts=job.model.facts, folder=Path()),
        varied=None,
    )
    work = Work(
        run=run,
        device=job.cell.device,
        job=bare,
        files=tuple(files),
        inputs=inputs,
        settings=settings,
        deadline_s=_deadline_s(job),
    )
    return Packed(work=work, sources=sources)


def pack_pairs(
    session: str, jobs: tuple[Job, Job], plan: PairPlan, first: Packed, digest: Callable[[Path], str]
) -> Packed:
    """Return what an agent needs for a session of pairs of ``jobs`` (A, B); ``first`` is A, packed."""
    second = pack(first.work.run, jobs[1], first.work.settings, digest)
    rival = Rival(session=session, job=second.work.job, files=second.work.files, inputs=second.work.inputs, plan=plan)
    blocks = 2 * (plan.most_pairs + plan.spare) * (1 + BLOCK.retries)
    deadline_s = blocks * max(_launch_s(replace(job, profile=block_of(job.profile))) for job in jobs)
    work = replace(first.work, rival=rival, deadline_s=deadline_s)
    return Packed(work=work, sources=first.sources | second.sources)


def unpack_job(work: Work | Rival, fetch: Callable[[str], Path], folder: Path) -> Job:
    """Return the job with its files linked into ``folder`` under their own names; ``fetch`` gets a file by digest.

    Raises `StoreError` for a name that leads out of the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for ref in (*work.files, work.inputs):
        plain_name(ref.name, "a job names the file", "so nothing of it was run")
    for ref in work.files:
        _link(fetch(ref.sha256), folder / ref.name)
    # The file of inputs lies beside the artifact where the artifact has its own, and with the model elsewhere.
    _link(fetch(work.inputs.sha256), folder / work.inputs.name)
    job = work.job
    return replace(
        job,
        artifact=Artifact(manifest=job.artifact.manifest, path=folder / work.files[0].name),
        model=PreparedModel(facts=job.model.facts, folder=folder),
    )


def require_signed(job: Job, key_file: Path) -> None:
    """Raise `SignatureError` unless the key has signed every file that ``job`` would give to its device.

    Raises `StoreError` for a file that is not what its job says: a device that has a file already goes by its digest.
    """
    from harness.signing.bundle import verify_attached
    from harness.signing.keys import read_trusted_key

    path, manifest = job.artifact.path, job.artifact.manifest
    assert path is not None, "a job that was unpacked has its files"
    digests = {path.name: manifest.sha256} | {part.file: part.sha256 for part in manifest.companions}
    try:
        # In the job's folder, under the names that the device will use: a job could name two files alike.
        check_files(path.parent, digests)
    except (OSError, ValueError) as error:
        msg = f"the files of a job are not what it says they are ({error}): nothing of it was run"
        raise StoreError(msg) from error
    # A new key file, or the end of a certificate, counts from the next cell on.
    key, named = read_trusted_key(key_file), {name: sha or "" for name, sha in digests.items()}
    verify_attached(job.signature.encode(), named, key, remedy=_SIGN_READY if manifest.recipe is None else _SIGN_BUILT)


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    target.symlink_to(source.resolve())


def _bare_card(job: Job) -> ModelCard:
    return ModelCard(
        name=job.cell.model,
        task=Task.OTHER,
        kind=SourceKind.READY,
        source="",
        folder=None,
        weights=None,
        license="",
        inputs=job.model.facts.inputs,
        data=None,
        random_weights=False,
        seed=0,
    )


def _deadline_s(job: Job) -> float:
    """How long a cell may take before its launch is ended: every launch and every retry at its own deadline."""
    launches = job.launches or max(job.profile.checkpoints)
    return _launch_s(job) * (launches + job.operators) * (1 + job.profile.retries)


def _launch_s(job: Job) -> float:
    from harness.measure.request import deadline_s

    return deadline_s(job) + REST_S
