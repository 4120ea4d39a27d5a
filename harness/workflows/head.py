"""The head of a new run: its spec and plan, the host, and the versions of the packages that matter."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime

from harness import __version__
from harness.artifacts.needs import TENSORFLOWS
from harness.devices.host.facts import host_info
from harness.plan.cells import Plan
from harness.spec.formats import FORMATS
from harness.spec.spec import Spec
from harness.store.records import RunHead
from harness.store.writer import new_run_id
from harness.system.clock import utc_now
from harness.system.packages import versions_of


def new_head(spec: Spec, plan: Plan, run_id: str | None = None) -> RunHead:
    """Return the head of a run that starts now; ``run_id`` is made up if None."""
    return RunHead(
        id=run_id or new_run_id(datetime.now(UTC)),
        created_at=utc_now(),
        spec=spec,
        plan=plan,
        host=host_info(),
        versions=versions_of_packages(),
        commit=_commit(),
    )


def versions_of_packages() -> dict[str, str]:
    """Return the versions of phonebench and of every installed package that decides what is in an artifact."""
    packages = [name for row in FORMATS.values() for name in row.packages]
    return {"phonebench": __version__, **versions_of(tuple(dict.fromkeys((*packages, *TENSORFLOWS))))}


def _commit() -> str | None:
    """The commit of the working folder: that is the code whose speed is measured, not phonebench itself."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
