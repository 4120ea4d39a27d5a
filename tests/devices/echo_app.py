"""Stands in for a runner app in tests with many phones: it computes nothing and replies after a moment.

``python echo_app.py FOLDER NAME [KIND]``. Its replies have ``NAME`` as the runner's version, which shows their phone.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main(folder: str, name: str, kind: str = "android-app") -> None:
    (Path(folder) / "log.txt").write_text("the job begins\n")
    request = json.loads((Path(folder) / "request.json").read_text())
    time.sleep(0.3)
    delegate = request["runtime"]["delegate"]
    reply = {
        "schema": 1,
        "cell": request["cell"],
        "launch": request["launch"],
        "status": "ok",
        "runner": {"kind": kind, "version": name},
        "runtime": {
            "name": "onnxruntime",
            "version": "1",
            "delegate_requested": delegate,
            "delegate_used": delegate,
            "threads": request["runtime"]["threads"],
        },
        "load": {"first_ns": 1000},
        "latency": {"first_ns": 2000, "warmup_ns": [], "samples_ns": [1000] * 200},
        "memory": {
            "definition": "none",
            "baseline_bytes": 1,
            "loaded_bytes": 1,
            "steady_bytes": 1,
            "peak_bytes": None,
            "retained_bytes": None,
        },
    }
    part = Path(folder) / "reply.json.tmp"
    part.write_text(json.dumps(reply))
    part.rename(Path(folder) / "reply.json")


if __name__ == "__main__":
    main(*sys.argv[1:])
