"""A run on a phone of a cloud that only starts the runner apps: planned and sent here, and stored when it comes back.

All launches are planned before the first one runs, so nothing decides on the way: a cell has a fixed number of
launches, none is repeated, and no gate waits.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from harness.artifacts.cache import Cache
from harness.clouds.catalog import ChosenPhone
from harness.clouds.cloud import BatchCloud, CloudApp, CloudJob, CloudName, CloudProgress
from harness.clouds.firebase import MOST_LAUNCHES, MOST_MINUTES
from harness.clouds.kinds import CLOUDS
from harness.clouds.loop_results import read_left
from harness.clouds.order import CloudOrder, find_order, read_order, write_order
from harness.clouds.replay import REST_S, CloudPhone, CloudVisit, SentLaunch
from harness.devices.android.app.apps import chosen
from harness.errors import CloudError, UsageError
from harness.measure.cell import measure
from harness.measure.gate import Gate
from harness.measure.job import Job
from harness.measure.parallel import outcome_in_words
from harness.measure.request import job_feed, make_request
from harness.progress import Progress
from harness.runners.android.apks import default_key
from harness.runners.android.loop_apk import LoopCargo, pack_loop_apk
from harness.runners.android.records import BuiltApk, Runtime
from harness.runners.android.store import built_apks
from harness.runners.android.tools import Toolbox
from harness.spec.formats import FORMATS
from harness.spec.profiles import SECOND_NS, Profile, ProfileName
from harness.spec.spec import Spec
from harness.store.records import RunRecord
from harness.store.writer import RunWriter, create_run, reopen_run
from harness.system.clock import utc_now
from harness.wire import RunRequest, encode
from harness.workflows.bench import OpenRun, Places
from harness.workflows.check import Checked, check
from harness.workflows.head import new_head, versions_of_packages
from harness.workflows.measure_cells import build_jobs, refuse_change, store_holes

# Others ask for minutes of one launch, for a gate, or for a counter of energy.
LOOP_PROFILES = (ProfileName.QUICK, ProfileName.STANDARD)
# What a launch takes besides what its profile says: Test Lab starts the app, and the app unpacks and loads the file.
_AROUND_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopChoice:
    """Where a job runs and how long it may take; ``apks`` is the folder of the runner apps, None for the usual one."""

    cloud: CloudName
    phone: ChosenPhone
    minutes: int
    apks: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The launches of one app in their order: the job, the requests, the files by digest, about how long they take."""

    apk: BuiltApk
    job: str
    requests: tuple[RunRequest, ...]
    files: dict[str, Path]
    seconds: float

    @property
    def sent(self) -> tuple[SentLaunch, ...]:
        """What the results are compared with when they come back."""
        return tuple(
            SentLaunch(
                cell=request.cell,
                launch=request.launch,
                job=self.job,
                scenario=scenario,
                app_id=self.apk.app_id,
                request_sha256=sha256(encode(request)).hexdigest(),
            )
            for scenario, request in enumerate(self.requests, 1)
        )


def send_loop(spec: Spec, choice: LoopChoice, cloud: BatchCloud, places: Places, progress: Progress) -> str:
    """Build what ``spec`` names, send it, and return the ticket. The run is stored, to be completed by `take_loop`.

    Raises `UsageError`, `BuildError`, `CloudError` or `StoreError`; then no run is left behind.
    """
    _refuse_profile(spec.profile)
    _refuse_minutes(choice)
    checked = check(replace(spec, device=(choice.phone.key,)), expand=lambda keys: keys)
    head = new_head(checked.spec, checked.plan)
    try:
        with create_run(places.results, head) as writer:
            store_holes(checked.plan, writer)
            jobs = _jobs(checked, writer, places, progress)
            return _send(_loaded(jobs, choice), choice, cloud, writer)
    except BaseException:
        # Without a ticket nobody could ever complete it.
        shutil.rmtree(places.results / head.id, ignore_errors=True)
        raise


def take_loop(ticket: str, ended: CloudProgress, cloud: BatchCloud, places: Places, progress: Progress) -> RunRecord:
    """Fetch the results of a job that has ended as ``ended`` says, and return its run. Taking it again changes nothing.

    Raises `UsageError` if the job was not sent from here, or if packages have changed since, `CloudError` and
    `StoreError`.
    """
    folder = find_order(places.results, ticket)
    with reopen_run(places.results, folder.name) as writer, tempfile.TemporaryDirectory() as name:
        if writer.head.finished_at is not None:
            return writer.record()
        refuse_change("the installed packages have", writer.head.versions, versions_of_packages())
        order, scratch = read_order(folder), Path(name)
        left = read_left(cloud.fetch(ticket, scratch))
        visit = CloudVisit(
            cloud=CLOUDS[order.cloud].title,
            words=ended.words,
            key=order.key,
            physical=order.physical,
            sent=order.launches,
            left=left,
        )
        phone = CloudPhone(visit, scratch)
        writer.update(devices=(phone.info,))
        _measure(phone, order, writer, places, progress)
        writer.update(finished_at=utc_now())
        return writer.record()


def _refuse_profile(profile: ProfileName) -> None:
    """Raise `UsageError` for a profile that a phone without a host beside it cannot keep."""
    if profile not in LOOP_PROFILES:
        names = " or ".join(name.value for name in LOOP_PROFILES)
        msg = f"a phone without a host beside it cannot keep to the profile {profile.value}: use {names}"
        raise UsageError(msg)


def _refuse_minutes(choice: LoopChoice) -> None:
    """Raise `UsageError` for more time than Test Lab gives a real phone."""
    if choice.phone.model.physical and choice.minutes > MOST_MINUTES:
        msg = f"a test on a real phone may take {MOST_MINUTES} minutes at most, not {choice.minutes}"
        raise UsageError(msg)


def loop_profile(profile: Profile) -> Profile:
    """Return ``profile`` as an app alone keeps it: a rest before a launch, no gate, and no launch repeated."""
    return replace(profile, gate=False, retries=0, cool_down_ns=round(REST_S * SECOND_NS))


def _jobs(checked: Checked, writer: RunWriter, places: Places, progress: Progress) -> list[Job]:
    run = OpenRun(writer=writer, gates={}, places=places, cache=Cache(places.cache), progress=progress)
    jobs = build_jobs(checked, checked.plan.cells, run)
    if not jobs:
        reasons = dict.fromkeys(m.reason for m in writer.record().measurements if m.reason)
        msg = f"there is nothing to send: {'; '.join(reasons) or 'no file can run on the phone'}"
        raise UsageError(msg)
    return [replace(job, profile=loop_profile(job.profile), launches=_launches(job)) for job in jobs]


def _launches(job: Job) -> int:
    """The fixed number of launches. Without an option it is that of the first look at the stop rule."""
    return job.launches or job.profile.checkpoints[0]


def _loaded(jobs: Sequence[Job], choice: LoopChoice) -> list[Loaded]:
    name = f"phonebench-{secrets.token_hex(4)}"
    built = built_apks(choice.apks)
    by_runtime: dict[str, list[Job]] = {}
    for job in jobs:
        by_runtime.setdefault(FORMATS[job.cell.format].android_runtime or "", []).append(job)
    loaded = [_load(_apk(built, runtime, choice), f"{name}-{runtime}", its) for runtime, its in by_runtime.items()]
    _check_length(loaded, choice)
    return loaded


def _load(apk: BuiltApk, job_name: str, jobs: Sequence[Job]) -> Loaded:
    requests: list[RunRequest] = []
    files: dict[str, Path] = {}
    for job in jobs:
        # The same requests as the loop over the launches makes when the results are back.
        requests += [make_request(job, launch, outputs=launch == 0) for launch in range(_launches(job))]
        artifact = job.artifact.path
        assert artifact is not None
        manifest = job.artifact.manifest
        files |= {manifest.sha256 or "": artifact}
        files |= {part.sha256: artifact.with_name(part.file) for part in manifest.companions}
        files |= {requests[-1].inputs.sha256: job_feed(job).path}
    seconds = sum(_launches(job) * _launch_s(job.profile) for job in jobs)
    return Loaded(apk=apk, job=job_name, requests=tuple(requests), files=files, seconds=seconds)


def _launch_s(profile: Profile) -> float:
    return _AROUND_S + REST_S + (profile.warmup_ns + profile.measure_ns) / SECOND_NS


def _apk(built: dict[Runtime, tuple[BuiltApk, ...]], runtime: str, choice: LoopChoice) -> BuiltApk:
    abis = choice.phone.model.abis_of(choice.phone.version)
    apk = chosen(built.get(Runtime(runtime), ()), abis)
    if apk is None or not set(apk.abis) & set(abis):
        what = "is not built" if apk is None else f"is not built for {choice.phone.model.id} ({', '.join(abis)})"
        msg = f"the runner app of {runtime} {what}; run: phonebench runner build android -r {runtime}"
        raise UsageError(msg)
    return apk


def _check_length(loaded: Sequence[Loaded], choice: LoopChoice) -> None:
    """Raise `UsageError` for more launches than fit into one test."""
    for one in loaded:
        count, minutes = len(one.requests), one.seconds / 60
        if count > MOST_LAUNCHES or minutes > choice.minutes:
            msg = (
                f"{count} launches take about {minutes:.0f} minutes, but a test may take {choice.minutes} and have "
                f"{MOST_LAUNCHES} launches at most: send fewer files, or give fewer --launches"
            )
            raise UsageError(msg)


def _send(loaded: Sequence[Loaded], choice: LoopChoice, cloud: BatchCloud, writer: RunWriter) -> str:
    order = CloudOrder(
        cloud=choice.cloud,
        key=choice.phone.key,
        physical=choice.phone.model.physical,
        minutes=choice.minutes,
        launches=tuple(sent for one in loaded for sent in one.sent),
    )
    write_order(writer.folder, order)
    with tempfile.TemporaryDirectory() as folder:
        apps = tuple(_packed(one, Path(folder)) for one in loaded)
        job = CloudJob(
            name=writer.head.id,
            apps=apps,
            phone=choice.phone.model.id,
            version=choice.phone.version,
            minutes=choice.minutes,
        )
        ticket = cloud.submit(job)
    try:
        write_order(writer.folder, replace(order, ticket=ticket))
    except BaseException:
        # Nobody could fetch what it measures, and it would cost all the same.
        with contextlib.suppress(CloudError):
            cloud.cancel(ticket)
        raise
    return ticket


def _packed(one: Loaded, folder: Path) -> CloudApp:
    tools = Toolbox()
    cargo = LoopCargo(
        job=one.job,
        requests=[encode(request) for request in one.requests],
        files=one.files,
        rest_ms=round(REST_S * 1000),
    )
    path = pack_loop_apk(one.apk, cargo, folder / f"{one.job}.apk", default_key(tools), tools)
    return CloudApp(path=path, app_id=one.apk.app_id, launches=len(one.requests))


def _measure(phone: CloudPhone, order: CloudOrder, writer: RunWriter, places: Places, progress: Progress) -> None:
    """Conclude every cell that was sent, unless an earlier attempt has stored it."""
    checked = check(writer.head.spec, expand=lambda keys: keys)
    stored = {measurement.cell for measurement in writer.record().measurements}
    sent = {launch.cell for launch in order.launches} - stored
    cells = tuple(cell for cell in writer.head.plan.cells if cell.key in sent)
    run = OpenRun(writer=writer, gates={}, places=places, cache=Cache(places.cache), progress=progress)
    jobs, gate = build_jobs(checked, cells, run), Gate(phone)
    progress.start("measure", len(jobs))
    try:
        for job in jobs:
            launches = min(_launches(job), phone.launches_of(job.cell.key))
            ready = replace(job, profile=loop_profile(job.profile), launches=launches)
            measurement = measure(ready, phone, writer, utc_now, gate=gate)
            writer.add(measurement)
            progress.step(job.cell.key, outcome_in_words(measurement))
    finally:
        progress.finish()
