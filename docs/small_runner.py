"""A complete runner for ``.onnx`` files in one file, as an example for docs/write_a_runner.md.

``python small_runner.py FOLDER`` runs the job in ``FOLDER``. It imports nothing of phonebench.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RUNNER = {"kind": "small-runner", "version": "1.0"}
Record = dict[str, np.ndarray[Any, Any]]


class Refusal(Exception):
    """Why there are no results; ``unsupported`` if that is no fault."""

    def __init__(self, kind: str, message: str, *, unsupported: bool = False) -> None:
        super().__init__(message)
        self.kind, self.status = kind, "unsupported" if unsupported else "failed"


def main(folder: Path) -> None:
    reply: dict[str, Any] = {"schema": 1, "cell": "", "launch": 0, "status": "ok", "runner": RUNNER}
    try:
        run(folder, read_request(folder, reply), reply)
    except Refusal as refusal:
        reply |= {"status": refusal.status, "failure": {"kind": refusal.kind, "message": str(refusal)}}
    except Exception as error:
        kind = "oom" if isinstance(error, MemoryError) else "run"
        message = f"the runner failed: {type(error).__name__}: {error}"
        reply |= {"status": "failed", "failure": {"kind": kind, "message": message}}
    write_reply(folder, reply)


def read_request(folder: Path, reply: dict[str, Any]) -> dict[str, Any]:
    """The request; the reply gets the cell and the launch as soon as they are known."""
    try:
        request: dict[str, Any] = json.loads((folder / "request.json").read_bytes())
        reply |= {"cell": request["cell"], "launch": request["launch"]}
    except (OSError, ValueError, KeyError) as error:
        raise Refusal("input", f"cannot read request.json: {error}") from error
    if request.get("schema") != 1:
        raise Refusal("input", f"the request has schema {request.get('schema')}, this runner reads schema 1")
    return request


def run(folder: Path, request: dict[str, Any], reply: dict[str, Any]) -> None:
    """Run the requested passes in their order. What was measured before a failure stays in ``reply``."""
    passes, artifact, inputs = request["passes"], request["artifact"], request["inputs"]
    if artifact["format"] != "onnx" or request["runtime"]["delegate"] != "cpu" or request["runtime"].get("options"):
        raise Refusal("delegate", "this runner only runs .onnx files on the processor", unsupported=True)
    for part in (artifact, *artifact.get("companions", [])):
        check(folder / part["file"], part["sha256"], "digest")
    check(folder / inputs["file"], inputs.get("sha256", ""), "input")
    records = read_inputs(folder, inputs)
    # The import of the runtime is neither part of the load nor of the model's memory.
    model = Model(folder / artifact["file"], request["runtime"])
    baseline = owned_bytes()
    reply["load"] = {"first_ns": timed(model.load)}
    reply["runtime"] = model.report
    loaded = owned_bytes()
    model.set_inputs(records[0])
    if latency := passes.get("latency"):
        reply["latency"] = measure(model.invoke, latency)
    if memory := passes.get("memory"):
        reply["memory"] = read_memory(model, memory["calls"], baseline, loaded)
    if outputs := passes.get("outputs"):
        reply["outputs"] = write_outputs(folder, model, records[: outputs["count"]])


class Model:
    def __init__(self, file: Path, asked: dict[str, Any]) -> None:
        import onnxruntime

        self.file, self.threads, self.runtime = file, asked["threads"], onnxruntime
        self.report = {"name": "onnxruntime", "version": onnxruntime.__version__, "threads": self.threads}
        self.report |= {"delegate_requested": asked["delegate"], "delegate_used": "cpu"}

    def load(self) -> None:
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        try:
            self.session = self.runtime.InferenceSession(str(self.file), options, ["CPUExecutionProvider"])
        except Exception as error:
            raise Refusal("load", f"onnxruntime cannot load the file: {error}") from error

    def set_inputs(self, record: Record) -> None:
        """By name if all names match, else by position."""
        names = [spec.name for spec in self.session.get_inputs()]
        self.feed = record if set(record) == set(names) else dict(zip(names, record.values(), strict=True))

    def invoke(self) -> None:
        self.results = self.session.run(None, self.feed)


def measure(invoke: Callable[[], None], asked: dict[str, Any]) -> dict[str, Any]:
    """Call 0, the warm-up, and the measured calls, each timed by itself."""
    warmup, limits = asked["warmup"], asked["measure"]
    if asked.get("stride_ns"):
        raise Refusal("input", "this runner has no strides; use the profile quick or standard", unsupported=True)

    def calls(min_calls: int, min_ns: int) -> list[int]:
        samples: list[int] = []
        began = time.perf_counter_ns()
        while True:
            samples.append(timed(invoke))
            passed = time.perf_counter_ns() - began
            if (len(samples) >= min_calls and passed >= min_ns) or passed >= limits["max_ns"]:
                return samples
            time.sleep(asked.get("interval_ns", 0) / 1e9)

    # A collection in the middle of a call would be timed as part of it.
    gc.disable()
    first, measured = timed(invoke), (limits["min_calls"], limits["min_ns"])
    warm = calls(warmup["min_calls"], warmup["min_ns"]) if any(warmup.values()) else []
    return {"first_ns": first, "warmup_ns": warm, "samples_ns": calls(*measured)}


def read_memory(model: Model, calls: int, baseline: int, loaded: int) -> dict[str, Any]:
    def after_a_call() -> int:
        model.invoke()
        return owned_bytes()

    return {
        "definition": "RssAnon + VmSwap of /proc/self/status of small_runner.py, in bytes",
        "baseline_bytes": baseline,
        "loaded_bytes": loaded,
        "steady_bytes": int(statistics.median(after_a_call() for _ in range(max(1, calls)))),
        "peak_bytes": None,
        "retained_bytes": None,
    }


def write_outputs(folder: Path, model: Model, records: list[Record]) -> dict[str, Any]:
    tensors: list[dict[str, Any]] = []
    with (folder / "outputs.bin").open("wb") as file:
        for record in records:
            model.set_inputs(record)
            model.invoke()
            named = enumerate(model.results)
            tensors = [{"name": f"y{at}", "dtype": y.dtype.name, "shape": list(y.shape)} for at, y in named]
            file.write(b"".join(y.tobytes() for y in model.results))
    return {"file": "outputs.bin", "count": len(records), "tensors": tensors}


def read_inputs(folder: Path, inputs: dict[str, Any]) -> list[Record]:
    """Every input: its tensors in C order, one after the other."""
    data, at = (folder / inputs["file"]).read_bytes(), 0
    records: list[Record] = []
    for _ in range(inputs["count"]):
        records.append({})
        for tensor in inputs["tensors"]:
            count = int(np.prod(tensor["shape"], dtype=np.int64))
            array = np.frombuffer(data, tensor["dtype"], count, at).reshape(tensor["shape"])
            records[-1][tensor["name"]] = array
            at += array.nbytes
    if at != len(data):
        raise Refusal("input", f"the inputs have {len(data)} bytes, expected {at}")
    return records


def check(file: Path, sha256: str, kind: str) -> None:
    actual = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "no file"
    if sha256 and actual != sha256:
        raise Refusal(kind, f"{file.name} is {actual}, the request expects {sha256}")


def timed(work: Callable[[], None]) -> int:
    start = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - start


def owned_bytes() -> int:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * sum(int(fields[name].split()[0]) for name in ("RssAnon", "VmSwap"))


def write_reply(folder: Path, reply: dict[str, Any]) -> None:
    """Write the reply under another name and rename it: it is complete if it exists."""
    with (folder / "reply.json.tmp").open("w", encoding="utf-8") as file:
        json.dump(reply, file)
        file.flush()
        os.fsync(file.fileno())
    (folder / "reply.json.tmp").rename(folder / "reply.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
