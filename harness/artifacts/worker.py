"""The build worker: ``python -m harness.artifacts.worker``, one process a backend.

Tasks come as JSON lines on standard input, results go as JSON lines to what was standard output at the start. Both
output descriptors are then pointed at the log of the task at hand, so that converters that print cannot break the
line protocol, and a crash of native code takes down this process alone.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
import traceback
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, assert_never

import msgspec

from harness.artifacts import mlpackage, onnx, pte, ptl, tflite
from harness.artifacts.cache import MANIFEST_FILE, Cache
from harness.artifacts.calibration import made_inputs
from harness.artifacts.gate import Expected, verify
from harness.artifacts.identity import artifact_key
from harness.artifacts.layout import write_channels_last
from harness.artifacts.manifest import ArtifactState, Companion, Manifest
from harness.artifacts.needs import packages_of
from harness.artifacts.prepare import prepare
from harness.artifacts.prepared import PreparedModel, read_prepared
from harness.artifacts.scanning import resolved, scan
from harness.artifacts.source import Exporter, FloatModel, UnsupportedError
from harness.artifacts.tasks import (
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
from harness.artifacts.tflite_keras import KerasExporter
from harness.artifacts.unrun import check_unrun
from harness.artifacts.varied import VariedModel, find_varied
from harness.artifacts.vary import load_varied, vary
from harness.errors import BuildError, PhonebenchError
from harness.model.card import ModelCard, SourceKind
from harness.model.network import load_network
from harness.plan.formats import DELEGATES, artifact_file
from harness.plan.support import RUN_HERE, Backend
from harness.records.artifact import CalibrationSource
from harness.spec.recipe import CalibrationFrom, Quantisation, Recipe
from harness.system.child_process import end_with_parent
from harness.system.files import file_sha256
from harness.system.packages import versions_of
from harness.variants.step import UnfitError
from harness.wire import Delegate, Format
from harness.wire.tensors import Array

EXPORTERS: dict[Format, Callable[[FloatModel], Exporter]] = {
    Format.PTE: pte.PteExporter,
    Format.TFLITE: tflite.TfliteExporter,
    Format.ONNX: onnx.OnnxExporter,
    Format.PTL: ptl.PtlExporter,
    Format.MLPACKAGE: mlpackage.MlpackageExporter,
}

WARM: dict[str, tuple[str, ...]] = {
    SourceKind.KERAS: ("tensorflow",),
    Format.PTE: ("executorch.exir", "executorch.backends.xnnpack.partition.xnnpack_partitioner"),
    Format.TFLITE: ("litert_torch", "ai_edge_quantizer"),
    Format.ONNX: ("torch.onnx", "onnxscript", "onnxruntime.quantization"),
    Format.PTL: ("torch.ao.quantization.quantize_fx",),
}


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
        manifest = _blank(task, expected, key)
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
        made = _measured(manifest, path)
        if expected.channel_last:
            made = replace(made, inputs=write_channels_last(expected.model, folder))
        return _verified(replace(made, seconds=seconds), path, expected)

    def _exporter_for(self, expected: Expected, format_: Format, cache: Cache) -> Exporter:
        key = expected.varied.facts.key if expected.varied else expected.model.facts.key
        known = self._exporter
        if known is not None and known[:2] == (key, format_):
            return known[2]
        self._exporter = None
        exporter = _new_exporter(expected, format_, cache)
        self._exporter = (key, format_, exporter)
        return exporter


def _new_exporter(expected: Expected, format_: Format, cache: Cache) -> Exporter:
    if expected.card.kind is SourceKind.KERAS:
        return KerasExporter(expected.card, expected.model, format_)
    return EXPORTERS[format_](float_model(expected, cache))


def float_model(expected: Expected, cache: Cache) -> FloatModel:
    """Load the float network, or the variant of it, as exporters take it; ``cache`` keeps what is made to calibrate."""
    card, model, varied = expected.card, expected.model, expected.varied
    network = load_network(card) if varied is None else load_varied(card, varied)

    def calibration(source: CalibrationFrom) -> tuple[Array, ...]:
        if source is CalibrationFrom.DATA:
            return model.calibration_inputs()
        try:
            return made_inputs(card, model.facts, source, cache)
        except UnfitError as error:
            raise UnsupportedError(str(error)) from error

    return FloatModel(
        network=network,
        inputs=model.facts.inputs,
        calibration=calibration,
        scripted=card.kind is SourceKind.TORCHSCRIPT,
    )


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


def _measured(manifest: Manifest, path: Path) -> Manifest:
    """Return ``manifest`` with what the file is, and those that the exporter wrote beside it."""
    others = sorted(file for file in path.parent.iterdir() if file != path)
    files = [path, *others]
    return replace(
        manifest,
        file=path.name,
        sha256=file_sha256(path),
        bytes=sum(file.stat().st_size for file in files),
        compressed_bytes=sum(deflated_size(file) for file in files),
        companions=tuple(
            Companion(file=file.name, sha256=file_sha256(file), bytes=file.stat().st_size) for file in others
        ),
    )


def _verified(manifest: Manifest, path: Path, expected: Expected) -> Manifest:
    """Return ``manifest`` with what the gate made of the file, or what can be seen of one that does not run here."""
    if not runs_here(manifest.format, manifest.backend):
        check = check_unrun(path, manifest.backend)
        return replace(manifest, state=check.state, reason=check.reason, checked=check.found)
    gate = verify(path, manifest.format, gate_delegate(manifest.format, manifest.backend), expected)
    return replace(
        manifest,
        state=gate.state,
        reason=gate.reason,
        sqnr_db=gate.sqnr_db,
        own_sqnr_db=gate.own_sqnr_db,
        agreement=gate.agreement,
        gate_inputs=gate.inputs,
    )


def runs_here(format_: Format, backend: Backend | None) -> bool:
    """Return whether the runtime of an artifact is to be had on this computer, so that the gate can run it."""
    return format_ is not Format.MLPACKAGE and (backend is None or backend in RUN_HERE)


def deflated_size(path: Path) -> int:
    """Return the size of the file's content after deflate at level 6, bytes: what an app store transfers."""
    packer, size = zlib.compressobj(6), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            size += len(packer.compress(chunk))
    return size + len(packer.flush())


def gate_delegate(format_: Format, backend: Backend | None) -> Delegate:
    """Return the delegate that the gate runs an artifact with: the one it was lowered to, or the format's usual."""
    return Delegate.CPU if backend is Backend.PORTABLE else DELEGATES[format_][0]


def _calibration_source(recipe: Recipe | None, model: PreparedModel) -> CalibrationSource:
    if recipe is None or not recipe.calibrated:
        return CalibrationSource.NONE
    match recipe.quantisation.calibration:
        case CalibrationFrom.DATA:
            return CalibrationSource.RANDOM if model.facts.random_calibration else CalibrationSource.DATA
        case CalibrationFrom.BATCH_NORM:
            return CalibrationSource.BATCH_NORM
        case CalibrationFrom.RANGE:
            return CalibrationSource.RANGE
        case _:
            assert_never(recipe.quantisation.calibration)


def _blank(task: ExportTask, expected: Expected, key: str) -> Manifest:
    varied = expected.varied.facts if expected.varied else None
    return Manifest(
        key=key,
        model=task.build.model,
        variant=task.build.variant,
        recipe=task.recipe,
        format=task.build.format,
        backend=task.build.backend,
        state=ArtifactState.FAILED,
        calibration=_calibration_source(task.recipe, expected.model),
        steps=varied.reports if varied else (),
        parameters=varied.parameters if varied else expected.model.facts.parameters,
        macs=varied.macs if varied else expected.model.facts.macs,
        versions=versions_of(packages_of(task.card, task.build)),
    )


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


def warm_up(format_: str) -> None:
    """Import what exporting ``format_`` takes while the parent has no task yet; what is missing shows up later."""
    for name in WARM.get(format_, ()):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


if __name__ == "__main__":
    main()
