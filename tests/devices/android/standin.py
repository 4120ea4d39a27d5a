"""Stands in for a runner app on the virtual phone: this computer's runner, on a job in the app's layout.

``python standin.py PATHS FILES JOB STORE INPUTS [REQUEST]``, with the arguments of the activity. A Python that
runs under the name of an app does not find its environment, so ``PATHS`` are those of the Python that started it.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path


def main(files: str, job: str, store: str, inputs: str, *requests: str) -> None:
    from harness.runners.host.job import run_job, write_reply
    from harness.wire import REQUEST_FILE, decode_request

    folder = Path(files) / "jobs" / job
    for file in requests:
        # If the request arrives as a file, the app creates the job's folder.
        folder.mkdir(parents=True)
        shutil.copyfile(file, folder / REQUEST_FILE)
    request = decode_request((folder / REQUEST_FILE).read_bytes())
    digests = {part.file: part.sha256 for part in request.artifact.files} | {request.inputs.file: inputs}
    for name, digest in digests.items():
        # A launch that was interrupted while starting is started again with the same job.
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(Path(store) / digest)
    reply = run_job(folder)
    write_reply(folder, reply)
    # As the app does: a line in the log, and an end that looks like that of an app out of memory.
    print(f"I/phonebench: replied to {job}: {reply.status}", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.path[:] = sys.argv[1].split(os.pathsep)
    main(*sys.argv[2:])
