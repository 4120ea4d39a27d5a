"""The workers of an agent, as the queue sees them: how often they report, and on which of them a task runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from harness.farm.work import pack
from harness.farm.workers import (
    HEARTBEAT_S,
    TTL_S,
    Engine,
    Workers,
    configure_engine,
    resources_of_task,
    task_key,
    without_pages,
)
from harness.spec.phone_settings import DEFAULT_SETTINGS
from tests.farm.phones import short_jobs

if TYPE_CHECKING:
    from harness.farm.bench import Bench

pytest.importorskip("distributed")


def test_a_worker_reports_as_rarely_as_it_was_told_and_in_time_for_the_scheduler() -> None:
    async def intervals_s() -> list[float]:
        from distributed import Scheduler

        configure_engine()
        async with without_pages(Scheduler)(protocol="inproc", host="", dashboard=False) as scheduler:
            workers = Workers(Engine(address=scheduler.address), "rack")
            bench = SimpleNamespace(key="fake:1")
            assert await workers.add(cast("Bench", bench), "fake", "Scripted")
            worker = workers._workers["fake:1"]
            intervals = []
            for _ in range(2):
                await worker.heartbeat()
                intervals.append(worker.periodic_callbacks["heartbeat"].callback_time / 1000)
            await workers.close()
            return intervals

    found = asyncio.run(intervals_s())
    # Dask's own answer to a single worker is half a second. Several reports must fit into the time to live.
    assert found == [HEARTBEAT_S, HEARTBEAT_S]
    assert 3 * HEARTBEAT_S <= TTL_S


def test_a_task_runs_only_on_the_worker_with_its_device(tmp_path: Path) -> None:
    first, second = (pack("night", job, DEFAULT_SETTINGS).work for job in short_jobs(tmp_path, ["fake:1", "fake:2"], 1))
    keys = [task_key(first, "n0"), task_key(second, "n0"), task_key(first, "n1")]
    assert len(set(keys)) == 3
    assert [resources_of_task(key) for key in keys] == [
        {"device fake:1": 1},
        {"device fake:2": 1},
        {"device fake:1": 1},
    ]


def test_the_queue_remembers_no_task_that_has_ended(tmp_path: Path) -> None:
    from dask.utils import key_split

    works = [pack("20260101-000000-aaaa", job, DEFAULT_SETTINGS).work for job in short_jobs(tmp_path, ["fake:1"], 3)]
    # The scheduler keeps a record for every prefix of a key that it has seen.
    assert len({key_split(task_key(work, "n0")) for work in works}) == 1
