"""The build worker: ``python -m harness.artifacts.workers.worker``, one process a backend.

Tasks come as JSON lines on standard input, results go as JSON lines to what was standard output at the start. Both
output descriptors are then pointed at the log of the task at hand, so that converters that print cannot break the
line protocol, and a crash of native code takes down this process alone.
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
from harness.artifacts.export.exporter import Exporter, UnsupportedError
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
from harness.artifacts.workers.describe import blank, measured, verified
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
from harness.spec.recipe import Quantisation
from harness.system.child_process import end_with_parent
from harness.wire import Format

# Converters print pages an artifact; a log past this size is begun anew.
LOG_BYTES = 8 << 20


class Worker:
    """Does tasks one after the other, keeping the exporter of the last model for its next variant."""

    def __init__(self) -> None:
        self._exporter: tuple[str, Format, Exporter] | None = None

    def do(self, task: WorkerTask) -> WorkerResult:
        """Do ``task``; whatever goes wrong comes back as a failure with a sentence, never as an exception."""
        try:
            if task.prepare is not None:
                return self._prepare(task.prepare)
            if task.vary is not None:
                return self._vary(task.vary)
            if task.export is not None:
                return self._export(task.export)
            if task.scan is not None:
                return self._scan(task.scan)
            msg = "a worker task names neither a model to prepare or scan, nor steps to apply, nor an artifact to make"
            raise BuildError(msg)
        except PhonebenchError as error:
            return _failure(str(error))
        except MemoryError:
            return _failure("the computer ran out of memory")
        # Exporters are other people's compilers: anything may come out, and the next task must go on.
        except Exception as error:  # noqa: BLE001
            traceback.print_exc()
            return _failure(f"{type(error).__name__}: {_first_line(error)}")

    def _prepare(self, task: PrepareTask) -> WorkerResult:
        return WorkerResult(prepared=prepare(task.card, task.key, Cache(Path(task.cache_root))).facts)

    def _vary(self, task: VaryTask) -> WorkerResult:
        cache = Cache(Path(task.cache_root))
        model = _prepared(cache, task.prepared_key, task.card)
        return WorkerResult(varied=vary(task.card, model, task.steps, cache).facts)

    def _scan(self, task: ScanTask) -> WorkerResult:
        cache = Cache(Path(task.cache_root))
        expected = Expected(model=_prepared(cache, task.prepared_key, task.card), card=task.card)
        wanted = Quantisation(calibration_inputs=task.inputs)
        return WorkerResult(scan=scan(expected, lambda: float_model(expected, cache), wanted, cache))

    def _export(self, task: ExportTask) -> WorkerResult:
        cache = Cache(Path(task.cache_root))
        model = _prepared(cache, task.prepared_key, task.card)
        key = artifact_key(model.facts, task.recipe, task.build)
        with cache.lock(key):
            found = cache.artifact(key)
            if found is not None:
                return WorkerResult(manifest=found.manifest, cached=True)
            with cache.making("artifacts", key) as folder:
                last = task.recipe is not None and task.recipe.channel_last
                varied = _varied(cache, model, task)
                expected = Expected(model=model, card=task.card, varied=varied, channel_last=last)
                manifest = self._make(task, expected, folder, key)
                (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
        return WorkerResult(manifest=manifest)

    def _make(self, task: ExportTask, expected: Expected, folder: Path, key: str) -> Manifest:
        """Write the artifact into ``folder``, pass it through the gate, and say what became of it."""
        started = time.monotonic()
        build = task.build
        path = folder / artifact_file(build.format)
        manifest = blank(task, expected, key)
        if expected.varied is not None and expected.varied.facts.reason is not None:
            return replace(manifest, state=ArtifactState.UNSUPPORTED, reason=expected.varied.facts.reason)
        if task.recipe is None:
            path.write_bytes(Path(task.card.source).read_bytes())
        else:
            try:
                cache = Cache(Path(task.cache_root))
                recipe = resolved(task.recipe, expected, lambda: float_model(expected, cache), cache)
                self._exporter_for(expected, build.format, cache).export(recipe, build.backend, path)
                kept = recipe.quantisation.keep_float
                manifest = replace(manifest, kept_float=(kept.layers or ()) if kept else ())
            except UnsupportedError as error:
                return replace(manifest, state=ArtifactState.UNSUPPORTED, reason=str(error))
        seconds = time.monotonic() - started
        made = measured(manifest, path)
        if expected.channel_last:
            made = replace(made, inputs=write_channels_last(expected.model, folder))
        return verified(replace(made, seconds=seconds), path, expected)

    def _exporter_for(self, expected: Expected, format_: Format, cache: Cache) -> Exporter:
        key = expected.varied.facts.key if expected.varied else expected.model.facts.key
        known = self._exporter
        if known is not None and known[:2] == (key, format_):
            return known[2]
        self._exporter = None
        exporter = new_exporter(expected, format_, cache)
        self._exporter = (key, format_, exporter)
        return exporter


def _prepared(cache: Cache, key: str, card: ModelCard) -> PreparedModel:
    model = cache.entry("prepared", key, read_prepared)
    if model is None:
        msg = f"the prepared model {card.name!r} is gone from the cache; run again"
        raise BuildError(msg)
    return model


def _varied(cache: Cache, model: PreparedModel, task: ExportTask) -> VariedModel | None:
    """The network that the steps of the task's recipe left, None without steps."""
    if task.recipe is None or not task.recipe.steps:
        return None
    found = find_varied(cache, model, task.recipe)
    if found is None:
        msg = f"the network of variant {task.build.variant!r} was not made, or is gone from the cache; run again"
        raise BuildError(msg)
    return found


def _failure(message: str) -> WorkerResult:
    return WorkerResult(failure=TaskFailure(message=message, log=""))


def _first_line(error: Exception) -> str:
    """The first line that says something, since compilers answer with pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:400] if lines else "no message"


def _serve(tasks: BinaryIO, results: BinaryIO, log_path: Path) -> None:
    """Answer each line of ``tasks`` until it ends; the parent closes it, or dies, when there is no more work."""
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
    """Take over the two pipes, send everything else that is printed to the log, and serve."""
    end_with_parent()
    log_path = Path(sys.argv[1])
    results = os.fdopen(os.dup(1), "wb")
    full = log_path.exists() and log_path.stat().st_size > LOG_BYTES
    with log_path.open("wb" if full else "ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        warm_up(sys.argv[2])
        _serve(sys.stdin.buffer, results, log_path)


if __name__ == "__main__":
    main()
