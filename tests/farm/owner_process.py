"""The program that owns a run: opens or reopens it in a store, and measures on a farm what the store does not have.

``python -m tests.farm.owner_process HOST PORT CERTS FOLDER KEYS EACH``
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

from harness.farm.engine import FarmRun
from harness.farm.host_agent import remote_farm
from harness.farm.tls import FarmPlace
from harness.plan.cells import Plan
from harness.progress import Silent
from harness.spec.phone_settings import DEFAULT_SETTINGS
from harness.store.records import RUN_FILE
from harness.store.writer import RunWriter, create_run, reopen_run
from tests.farm.phones import short_jobs
from tests.store.test_store import RUN, head


def main() -> None:
    host, port, certs, folder, keys, each = sys.argv[1:]
    own(FarmPlace(host=host, port=int(port), certs=Path(certs)), Path(folder), keys.split(","), int(each))


def own(place: FarmPlace, folder: Path, keys: list[str], each: int) -> int:
    """Measure the cells that the store lacks; return how many did not run. Prints what the engine cost per cell."""
    (folder / "work").mkdir(parents=True, exist_ok=True)
    jobs = short_jobs(folder / "work", keys, each)
    plan = Plan(cells=tuple(job.cell for job in jobs), holes=())
    results = folder / "results"
    exists = (results / RUN / RUN_FILE).exists()
    with reopen_run(results, RUN) if exists else create_run(results, replace(head(), plan=plan)) as writer:
        missing = _missing(jobs, writer)
        run = FarmRun(run=RUN, fetched=folder / "fetched", settings=DEFAULT_SETTINGS, patience_s=300)
        with remote_farm(place, run) as farm:
            started_s, cpu_s = time.monotonic(), time.process_time()
            lost = sum(one.cells for one in farm.engine.measure(missing, writer, Silent()))
        cells = max(1, len(missing))
        print(f"{len(missing)} cells, {lost} not run, {time.monotonic() - started_s:.1f} s,", end=" ")
        print(f"{1000 * (time.process_time() - cpu_s) / cells:.2f} ms of this process per cell", flush=True)
    return lost


def _missing(jobs: list, writer: RunWriter) -> list:  # type: ignore[type-arg]
    done = {measurement.cell for measurement in writer.record().measurements}
    return [job for job in jobs if job.cell.key not in done]


if __name__ == "__main__":
    main()
