"""Waits for a job of a cloud: through busy answers, half answers and lost connections, but not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.clouds.cloud import FINAL, BatchCloud, CloudProgress
from harness.errors import CloudError

LOOK_S = 30.0
# A cloud that is busy is asked less and less often, down to this.
MOST_S = 480.0


def wait_for(
    cloud: BatchCloud,
    ticket: str,
    *,
    until_s: float,
    say: Callable[[CloudProgress], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> CloudProgress:
    """Poll the job every half minute until it has ended, and return how; ``say`` gets every change.

    Raises `CloudError` after ``until_s`` seconds, or at once for an error that waiting does not cure. The job goes on
    either way, and its ticket fetches the results later.
    """
    end, look_s = clock() + until_s, LOOK_S
    last: CloudProgress | None = None
    trouble: CloudError | None = None
    while clock() < end:
        try:
            progress = cloud.poll(ticket)
        except CloudError as error:
            if not error.passing:
                raise
            trouble, look_s = error, min(2 * look_s, MOST_S)
        else:
            trouble, look_s = None, LOOK_S
            if progress != last:
                say(progress)
            if progress.state in FINAL:
                return progress
            last = progress
        pause(look_s)
    state = f"the last answer was: {trouble}" if trouble else f"it is {last.words if last else 'unknown'}"
    how = f"fetch it later: phonebench cloud fetch {ticket}"
    msg = f"the job has not ended within {until_s / 60:g} minutes ({state}); {how}"
    raise CloudError(msg, passing=True)
