"""The parent's side of a sensitivity scan: from the cache if possible, by a worker process if not."""

from __future__ import annotations

from dataclasses import replace

from harness.artifacts.cache import Cache
from harness.artifacts.sensitivity.scan import find_scan, scan_key
from harness.artifacts.sources.prepared_model import read_prepared
from harness.artifacts.verify.verify import Expected
from harness.artifacts.workers.pool import Crew, run_groups
from harness.artifacts.workers.schedule import Group
from harness.artifacts.workers.tasks import PrepareTask, ScanTask, WorkerResult, WorkerTask
from harness.errors import BuildError, UsageError
from harness.model.card import ModelCard
from harness.model.source_key import source_key
from harness.progress import Progress
from harness.records.sensitivity import DEFAULT_INPUTS, Scan, check_inputs
from harness.spec.recipe import Quantisation


def scan_model(card: ModelCard, cache: Cache, progress: Progress, *, inputs: int = DEFAULT_INPUTS) -> Scan:
    """Return how sensitive each layer of a model's float network is to int8, on up to ``inputs`` calibration inputs.

    Raises `UsageError` for a ready-made file or an invalid number of inputs, and `BuildError` if the model cannot be
    loaded or has no layers to scan.
    """
    check_inputs(inputs)
    if card.ready is not None:
        msg = f"{card.name!r} is a ready-made file, whose layers cannot be scanned: give the model it was made from"
        raise UsageError(msg)
    key, root = source_key(card), str(cache.root)
    prepared = cache.entry("prepared", key, read_prepared)
    if prepared is not None:
        scan_id = scan_key(Expected(model=prepared, card=card), Quantisation(calibration_inputs=inputs), inputs)
        cached = find_scan(cache, scan_id)
        if cached is not None:
            # Scans that an earlier version left in the cache do not name their weights.
            return replace(cached, weights_sha256=prepared.facts.weights_sha256)
    return _ask(
        [
            WorkerTask(prepare=PrepareTask(card=card, key=key, cache_root=root)),
            WorkerTask(scan=ScanTask(card=card, prepared_key=key, cache_root=root, inputs=inputs)),
        ],
        cache,
        progress,
    )


def _ask(tasks: list[WorkerTask], cache: Cache, progress: Progress) -> Scan:
    answers: list[WorkerResult] = []

    def begin(task: WorkerTask) -> None:
        progress.begin(_unit(task))

    def report(task: WorkerTask, result: WorkerResult) -> None:
        answers.append(result)
        progress.step(_unit(task), result.failure.message if result.failure else "done")

    group = Group(name="scan", tasks=tuple(tasks))
    progress.start("scan", len(tasks))
    try:
        run_groups([group], Crew(warm=("",), cache=cache), report, begin)
    finally:
        progress.finish()
    failed = next((answer.failure for answer in answers if answer.failure), None)
    last = answers[-1].scan if answers else None
    if failed is not None or last is None:
        reason = failed.message if failed else "the worker did not answer"
        msg = f"{reason} (log: {failed.log})" if failed and failed.log else reason
        raise BuildError(msg)
    return last


def _unit(task: WorkerTask) -> str:
    return "scan" if task.scan else "load"
