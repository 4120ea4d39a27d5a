"""Jobs for the runner's desktop program, as the driver would lay them out in an app's Documents."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.wire import (
    ArtifactRef,
    CompanionRef,
    Delegate,
    Format,
    InputsRef,
    LatencyPass,
    MeasurePass,
    MemoryPass,
    OutputsPass,
    Passes,
    ProfilePass,
    RunReply,
    RunRequest,
    RuntimeRequest,
    WarmupPass,
    decode_reply,
    encode,
)
from harness.wire.tensors import Array, describe, raw, read_tensors
from tests.ios_runner.swift import desktop_command

ALL_PASSES = Passes(
    latency=LatencyPass(
        warmup=WarmupPass(min_calls=2, min_ns=0), measure=MeasurePass(min_calls=9, min_ns=0, max_ns=10**10)
    ),
    memory=MemoryPass(calls=3),
    outputs=OutputsPass(count=4),
    profile=ProfilePass(calls=2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a job asks for besides its files."""

    delegate: Delegate = Delegate.CPU
    threads: int = 1
    options: tuple[tuple[str, str], ...] = ()
    passes: Passes = ALL_PASSES


class Documents:
    """An app's Documents on this computer, and the desktop program that runs its jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "phonebench/store"
        self._count = 0
        self.store.mkdir(parents=True)

    def keep(self, data: bytes) -> str:
        """Put a file into the store and return its digest."""
        sha256 = hashlib.sha256(data).hexdigest()
        (self.store / sha256).write_bytes(data)
        return sha256

    def job(
        self,
        artifact: Path,
        format_: Format,
        arrays: Sequence[Array],
        asked: Asked | None = None,
        *,
        companions: Sequence[Path] = (),
    ) -> Job:
        """Lay out a job. ``arrays`` are the inputs, each of shape ``(count, *shape)``."""
        asked = asked or Asked()
        names = [f"input_{at}" for at in range(len(arrays))]
        specs = describe([array[0] for array in arrays], names)
        records = b"".join(raw([array[at] for array in arrays]) for at in range(len(arrays[0])))
        request = RunRequest(
            cell="cell",
            launch=2,
            artifact=ArtifactRef(
                file=artifact.name,
                sha256=self.keep(artifact.read_bytes()),
                format=format_,
                companions=tuple(CompanionRef(file=p.name, sha256=self.keep(p.read_bytes())) for p in companions),
            ),
            runtime=RuntimeRequest(delegate=asked.delegate, threads=asked.threads, options=dict(asked.options)),
            inputs=InputsRef(file="inputs.bin", count=len(arrays[0]), tensors=tuple(specs), sha256=self.keep(records)),
            passes=asked.passes,
        )
        self._count += 1
        job = Job(documents=self.folder, name=f"job-{self._count}", request=request)
        job.folder.mkdir(parents=True)
        job.rewrite(request)
        return job


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job in Documents."""

    documents: Path
    name: str
    request: RunRequest

    @property
    def folder(self) -> Path:
        """The job's own folder."""
        return self.documents / "phonebench/jobs" / self.name

    def rewrite(self, request: RunRequest) -> None:
        """Ask for something else."""
        (self.folder / "request.json").write_bytes(encode(request))

    def launch(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Run the desktop program on the job, with ``more`` arguments."""
        command = [*desktop_command(), "--documents", str(self.documents), "--job", self.name]
        command += ["--inputs", self.request.inputs.sha256, *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def run(self) -> RunReply:
        """Run the job and return its reply."""
        done = self.launch()
        assert done.returncode == 0, done.stderr
        return self.reply()

    def reply(self) -> RunReply:
        """The reply that is in the folder."""
        return decode_reply((self.folder / "reply.json").read_bytes())

    def outputs(self) -> tuple[Array, ...]:
        """The outputs in the folder, each of shape ``(count, *shape)``."""
        outputs = self.reply().outputs
        assert outputs is not None, self.reply().failure
        return tuple(np.asarray(a) for a in read_tensors(self.folder / outputs.file, outputs.tensors, outputs.count))

    def again(self) -> None:
        """Let the same job be measured once more."""
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        self.rewrite(self.request)
