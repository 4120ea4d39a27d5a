"""A runner app of a hundred lines for tests of the driver: it digests the artifact in place of running it.

``python small_app.py BEHAVIOUR --documents FOLDER --job JOB --inputs SHA256`` answers a job as the app does,
unless BEHAVIOUR says otherwise. It imports nothing of phonebench.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main(behaviour: str, documents: str, job: str, inputs: str) -> int:
    root = Path(documents) / "phonebench"
    folder = root / "jobs" / job
    (folder / "log.txt").write_text(f"begun {job}\n")
    request = json.loads((folder / "request.json").read_bytes())
    artifact = (root / "store" / request["artifact"]["sha256"]).read_bytes()
    digest = hashlib.sha256(artifact).hexdigest()
    reply = {"schema": 1, "cell": request["cell"], "launch": request["launch"], "status": "ok"}
    reply |= {"runner": {"kind": "ios-app", "version": "0.1.0"}, "state": states(behaviour)}
    if digest != request["artifact"]["sha256"]:
        failure = {"kind": "digest", "message": f"the artifact is {digest}"}
        reply |= {"status": "failed", "failure": failure}
    elif hashlib.sha256((root / "store" / inputs).read_bytes()).hexdigest() != inputs:
        reply |= {"status": "failed", "failure": {"kind": "input", "message": "other inputs"}}
    else:
        reply |= measured(request, artifact, root.parent)
    return end(behaviour, folder, reply)


def measured(request: dict[str, Any], artifact: bytes, documents: Path) -> dict[str, Any]:
    """The passes of the request, each call a digest of the artifact."""
    asked = request["passes"]["latency"]
    energy = blocks(request["passes"], artifact, documents)
    samples = [timed(artifact) for _ in range(asked["measure"]["min_calls"])]
    runtime = {"name": "digest", "version": "1", "threads": request["runtime"]["threads"]}
    delegate = request["runtime"]["delegate"]
    memory = {"definition": "none", "baseline_bytes": 1, "loaded_bytes": 2, "steady_bytes": 3}
    return {
        "runtime": runtime | {"delegate_requested": delegate, "delegate_used": delegate},
        "load": {"first_ns": timed(artifact)},
        "latency": {
            "first_ns": timed(artifact),
            "warmup_ns": [timed(artifact) for _ in range(asked["warmup"]["min_calls"])],
            "samples_ns": samples,
        },
        "memory": memory | {"peak_bytes": 4, "retained_bytes": None},
        "energy": energy,
    }


def blocks(passes: dict[str, Any], artifact: bytes, documents: Path) -> dict[str, Any] | None:
    """An idle block and one of calls that are as long as it, each with a rest after it: they cost no processor."""
    if "energy" not in passes:
        return None
    length_ns, clock, calls = passes["energy"]["idle_ns"], time.perf_counter_ns, 0
    began = clock()
    time.sleep(length_ns / 1e9)
    turned = clock()
    # A test makes the phone draw more from here on.
    (documents / "load").write_text(f"{time.time()} ")
    while clock() - turned < length_ns:
        timed(artifact)
        calls += 1
        time.sleep(0.01)
    idle = {"kind": "idle", "began_ns": began, "ended_ns": turned}
    load = {"kind": "load", "began_ns": turned, "ended_ns": clock(), "calls": calls}
    return {"blocks": [idle, load], "wall_offset_ns": time.time_ns() - clock()}


def states(behaviour: str) -> dict[str, Any]:
    """The state before and after, of a phone that is as BEHAVIOUR says."""
    state = {
        "thermal_status": "severe" if behaviour == "hot" else "none",
        "low_power_mode": behaviour == "saving",
    }
    return {"before": state | {"at_ns": 1}, "after": state | {"at_ns": 2}}


def end(behaviour: str, folder: Path, reply: dict[str, Any]) -> int:
    """Write the reply and end, in one of several ways."""
    if behaviour == "hang":
        time.sleep(600)
    if behaviour in ("silent", "exit-3"):
        # No app starts and ends faster than the driver asks to be told of its end.
        time.sleep(0.5)
        return 0 if behaviour == "silent" else 3
    if behaviour == "abort":
        os.abort()
    if behaviour == "slow":
        time.sleep(1)
    (folder / "reply.json.tmp").write_text(json.dumps(reply))
    (folder / "reply.json.tmp").rename(folder / "reply.json")
    if behaviour == "stay":
        time.sleep(600)
    return 0


def timed(data: bytes) -> int:
    began = time.perf_counter_ns()
    hashlib.sha256(data).digest()
    return time.perf_counter_ns() - began


if __name__ == "__main__":
    _, chosen, *options = sys.argv
    named = dict(zip(options[::2], options[1::2], strict=True))
    sys.exit(main(chosen, named["--documents"], named["--job"], named["--inputs"]))
