"""Stands in for a runner app on the virtual phone: this computer's runner, on a job in the app's layout.

``python standin.py PATHS FILES JOB STORE INPUTS SHARED LOG [REQUEST]``, with the arguments of the activity. A Python
that runs under the name of an app does not find its environment, so ``PATHS`` are those of the Python that started it.
Like the app it leaves its reply in its own folder and on ``SHARED`` storage, and if asked in the log.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path


def main(*args: str) -> None:
    measure(*args)
    # As the app does: an end that looks like that of an app out of memory.
    os.kill(os.getpid(), signal.SIGKILL)


def measure(files: str, job: str, store: str, inputs: str, *rest: str) -> Path:
    """Run the job and return its folder, with the reply."""
    from harness.runners.host.job import run_job, write_reply
    from harness.wire import REQUEST_FILE, decode_request

    shared, logs, *requests = rest
    folder = Path(files) / "jobs" / job
    for file in requests:
        # If the request arrives as a file, the app creates the job's folder.
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / REQUEST_FILE)
    request = decode_request((folder / REQUEST_FILE).read_bytes())
    digests = {part.file: part.sha256 for part in request.artifact.files} | {request.inputs.file: inputs}
    for name, digest in digests.items():
        # A launch that was interrupted while starting is started again with the same job.
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(Path(store) / digest)
    reply = run_job(folder)
    write_reply(folder, reply)
    if shared:
        shutil.copytree(
            folder, Path(shared) / "jobs" / job, ignore=lambda _, names: {*names} - {"reply.json", "outputs.bin"}
        )
    if logs == "true":
        log_reply(job, (folder / "reply.json").read_bytes())
    # As the app does.
    print(f"I/phonebench: replied to {job}: {reply.status}", flush=True)
    return folder


def log_reply(job: str, reply: bytes) -> None:
    """Print the reply as the app logs it: compressed, without its outputs, in short lines with its digest."""
    # Only now does this Python find all of its library.
    import base64
    import gzip
    import hashlib
    import json

    json_text = json.dumps(json.loads(reply) | {"outputs": None}).encode()
    data = base64.b64encode(gzip.compress(json_text)).decode()
    parts = [data[at : at + 300] for at in range(0, len(data), 300)]
    for number, part in enumerate(parts, 1):
        digest = hashlib.sha256(json_text).hexdigest()
        print(f"I/phonebench: reply {job} {number}/{len(parts)} {digest} {part}", flush=True)


if __name__ == "__main__":
    sys.path[:] = sys.argv[1].split(os.pathsep)
    main(*sys.argv[2:])
