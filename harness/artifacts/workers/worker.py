"""The build worker: ``python -m harness.artifacts.workers.worker LOG WARM``, started by the parent's pool.

Tasks come as lines of JSON on standard input, and results leave as lines of JSON on the original standard output. Both
output descriptors are then redirected to the log, so converters that print cannot corrupt the protocol. A crash in
native code ends only this process.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import msgspec

from harness.artifacts.cache import MANIFEST_FILE, Cache
from harness.artifacts.export.exporter import Exporter, MayTrace, UnsupportedError
from harness.artifacts.export.left_float import LeavesFloat, LeftFloat
from harness.artifacts.export.registry import float_model, new_exporter, warm_up
from harness.artifacts.identity import artifact_key
from harness.artifacts.layout import write_channels_last
from harness.artifacts.manifest import ArtifactState, Manifest
from harness.artifacts.sensitivity.scan import resolved, scan
from harness.artifacts.sources.made_variant import VariedModel, find_varied
from harness.artifacts.sources.make_variant import vary
from harness.artifacts.sources.prepare_model import prepare
from harness.artifacts.sources.prepared_model import PreparedModel, read_prepared
from harness.artifacts.verify.verify import Expected
from harness.artifacts.workers.describe import blank, crashing, measured, take_along, verified
from harness.artifacts.workers.earned import earned, traced
from harness.artifacts.workers.explain import explain, say
from harness.artifacts.workers.tasks import (
    ExportTask,
    PrepareTask,
    ScanTask,
    TaskFailure,
    VaryTask,
    WorkerResult,
    WorkerTask,
    decode_task,
    encode_line,
)
from harness.errors import BuildError, PhonebenchError
from harness.model.card import ModelCard
from harness.spec.formats import artifact_file
from harness.spec.recipe import Precision, Quantisation
from harness.system.child_process import end_with_parent
from harness.system.faults import fault_in
from harness.wire import Format

# Converters print pages per artifact. A log larger than this is started anew.
LOG_BYTES = 8 << 20


class Worker:
    """Does one task after another. It keeps the exporter of the last model for that model's next variant."""

    def __init__(self) -> None:
        self._exporter: tuple[str, Format, Exporter] | None = None

    def do(self, task: WorkerTask) -> WorkerResult:
        """Do ``task``. Any error is returned as a failure with a sentence, never raised."""
        try:
            if task.prepare is not None:
                return self._prepare(task.prepare)
            if task.vary is not None:
                return self._vary(task.vary)
            if task.export is not None:
                return self._export(task.export)
            if task.scan is not None:
                return self._scan(task.scan)
            msg = "the worker task is empty: no model to prepare or scan, no steps to apply, no artifact to make"
            raise BuildError(msg)
        except PhonebenchError as error:
            return _failure(str(error))
        # Exporters are other people's compilers and may raise anything; the next task must still run.
        except Exception as error:  # noqa: BLE001
            traceback.print_exc()
            return _failure(say(error) if task.export is None else explain(error))

    def _prepare(self, task: PrepareTask) -> WorkerResult:
        return WorkerResult(prepared=prepare(task.card, task.key, Cache(Path(task.cache_root))).facts)

    def _vary(self, task: VaryTask) -> WorkerResult:
        cache = Cache(Path(task.cache_root))
        model = _prepared(cache, task.prepared_key, task.card)
        return WorkerResult(varied=vary(task.card, model, task.steps, cache).facts)

    def _scan(self, task: ScanTask) -> WorkerResult:
        cache = Cache(Path(task.cache_root))
        expected = Expected(model=_prepared(cache, task.prepared_key, task.card), card=task.card)
        quantisation = Quantisation(calibration_inputs=task.inputs)
        return WorkerResult(scan=scan(expected, lambda: float_model(expected, cache), quantisation, cache))

    def _export(self, task: ExportTask) -> WorkerResult:
        cache = Cache(Path(task.cache_root))
        model = _prepared(cache, task.prepared_key, task.card)
        key = artifact_key(model.facts, task.recipe, task.build)
        with cache.lock(key):
            cached = cache.artifact(key)
            if cached is not None:
                return WorkerResult(manifest=cached.manifest, cached=True)
            with cache.making("artifacts", key) as folder:
                last = task.recipe is not None and task.recipe.channel_last
                varied = _varied(cache, model, task)
                precision = task.recipe.precision if task.recipe else Precision.FP32
                expected = Expected(model=model, card=task.card, varied=varied, channel_last=last, precision=precision)
                manifest = self._make(task, expected, folder, key)
                fault = fault_in(manifest.reason or "")
                if fault is not None:
                    # Raised before the entry is made: the next build may have what this one lacked.
                    msg = f"{fault}, and build again"
                    raise BuildError(msg)
                (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
        return WorkerResult(manifest=manifest)

    def _make(self, task: ExportTask, expected: Expected, folder: Path, key: str) -> Manifest:
        """Write the artifact to ``folder``, verify it, and return its manifest."""
        started = time.monotonic()
        build = task.build
        path = folder / artifact_file(build.format)
        left: tuple[LeftFloat, ...] = ()
        manifest = blank(task, expected, key)
        if expected.varied is not None and expected.varied.facts.reason is not None:
            return replace(manifest, state=ArtifactState.UNSUPPORTED, reason=expected.varied.facts.reason)
        if task.recipe is None:
            take_along(task.card, path)
        else:
            try:
                cache = Cache(Path(task.cache_root))
                recipe = resolved(task.recipe, expected, lambda: float_model(expected, cache), cache)
                exporter = self._exporter_for(expected, build.format, cache)
                exporter.export(recipe, build.backend, path)
                kept = recipe.quantisation.keep_float
                conditions = traced(expected.model.facts, exporter.fallback if isinstance(exporter, MayTrace) else None)
                manifest = replace(manifest, kept_float=(kept.layers or ()) if kept else (), conditions=conditions)
                left = exporter.left_float if isinstance(exporter, LeavesFloat) else ()
            except UnsupportedError as error:
                return replace(manifest, state=ArtifactState.UNSUPPORTED, reason=str(error))
        seconds = time.monotonic() - started
        manifest = measured(replace(manifest, seconds=seconds), path)
        if expected.channel_last:
            manifest = replace(manifest, inputs=write_channels_last(expected.model, folder))
        if expected.model.facts.language is None:
            manifest = earned(manifest, expected.model.facts, left)
        if manifest.state is ArtifactState.UNSUPPORTED:
            return manifest
        # If the runtime crashes this process, the parent finds the file with this record and keeps both.
        (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(crashing(manifest, expected.model)))
        return verified(manifest, path, expected)

    def _exporter_for(self, expected: Expected, format_: Format, cache: Cache) -> Exporter:
        key = expected.varied.facts.key if expected.varied else expected.model.facts.key
        last = self._exporter
        if last is not None and last[:2] == (key, format_):
            return last[2]
        # Released before the next one is made, because two networks may not fit into memory.
        self._exporter = None
        exporter = new_exporter(expected, format_, cache)
        self._exporter = (key, format_, exporter)
        return exporter


def _prepared(cache: Cache, key: str, card: ModelCard) -> PreparedModel:
    model = cache.entry("prepared", key, read_prepared)
    if model is None:
        msg = f"the prepared model {card.name!r} is no longer in the cache; run again"
        raise BuildError(msg)
    return model


def _varied(cache: Cache, model: PreparedModel, task: ExportTask) -> VariedModel | None:
    """The network made by the steps of the task's recipe, or None without steps."""
    if task.recipe is None or not task.recipe.steps:
        return None
    varied = find_varied(cache, model, task.recipe)
    if varied is None:
        msg = f"the network of variant {task.build.variant!r} was not made or is no longer in the cache; run again"
        raise BuildError(msg)
    return varied


def _failure(message: str) -> WorkerResult:
    return WorkerResult(failure=TaskFailure(message=message, log=""))


def _serve(tasks: BinaryIO, results: BinaryIO, log_path: Path) -> None:
    """Answer each line of ``tasks`` until the input ends, which is when the parent has no more work or has died."""
    worker = Worker()
    for line in tasks:
        task = decode_task(line)
        result = worker.do(task)
        sys.stdout.flush()
        if result.failure is not None:
            result = replace(result, failure=replace(result.failure, log=str(log_path)))
        results.write(encode_line(result))
        results.flush()


def main() -> None:
    """Take over the two pipes, send all other output to the log, and serve."""
    end_with_parent()
    log_path = Path(sys.argv[1])
    results = os.fdopen(os.dup(1), "wb")
    full = log_path.exists() and log_path.stat().st_size > LOG_BYTES
    with log_path.open("wb" if full else "ab") as log:
        # The descriptors rather than sys.stdout, because native code writes to them directly.
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        warm_up(sys.argv[2])
        _serve(sys.stdin.buffer, results, log_path)


if __name__ == "__main__":
    main()
