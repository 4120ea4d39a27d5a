"""Watches a phone during a launch, and what that costs.

A single command that keeps running takes the samples. A new command every second would start a process and keep the
phone's adb daemon busy next to the model being measured. The window manager is only queried outside launches.

Each ``dumpsys`` is a process, and makes system services work. So the command adds up its own processor time and that
of the system server while it answers. It pauses for a second between samples, or for so long that its share of a core
stays at `_SHARE`.
"""

from __future__ import annotations

import logging
import threading

from harness.devices.android.adb.cable import Cable, printed
from harness.devices.android.adb.link import Link
from harness.devices.android.state import LIGHT_SCRIPT, parse_state
from harness.errors import PhoneError
from harness.records.conditions import Condition, ConditionId
from harness.wire import StateSample

log = logging.getLogger(__name__)

_END = "@@end"
# The share of one core that the watch may take: 1/50, so a sample of n hundredths of a second is followed by n/2 s.
_SHARE, _HALF_SECONDS, _LONGEST_S = 0.02, 2, 10
# `own` counts this shell and the processes that it started and that have ended, as /proc/PID/stat does: user and system
# time of both, in hundredths of a second. The shell reads that file itself, which starts no process.
WATCH_SCRIPT = f"""own() {{ read -r line < /proc/$$/stat && set -- $line && own=$((${{14}}+${{15}}+${{16}}+${{17}})); }}
served() {{ [ -n "$server" ] && read -r line < /proc/$server/stat && set -- $line && served=$((${{14}}+${{15}})); }}
server=$(pidof system_server); served=0 system=0 count=0; own; first=$own
while :; do
  served; before=$served
  {LIGHT_SCRIPT}
  served; own; count=$((count+1)); system=$((system+served-before)); spent=$((own-first+system))
  pause=$((spent/(count*{_HALF_SECONDS})))
  [ $pause -lt 1 ] && pause=1
  [ $pause -gt {_LONGEST_S} ] && pause={_LONGEST_S}
  echo @@cost; echo $spent; echo {_END}; sleep $pause
done 2> /dev/null"""
# dumpsys takes seconds on a phone that is fully busy with a model.
WATCH_IDLE_S = _LONGEST_S + 15.0


class Watch:
    """Samples the state about once a second over its own connection, as a context manager.

    If sampling fails, there are fewer samples; a launch is never lost because of it.
    """

    def __init__(self, cable: Cable, seconds: float) -> None:
        self._cable, self._seconds = cable, seconds
        self._link: Link | None = None
        self._thread: threading.Thread | None = None
        self._samples: list[StateSample] = []

    @property
    def samples(self) -> tuple[StateSample, ...]:
        """The samples so far, in order."""
        return tuple(self._samples)

    def __enter__(self) -> Watch:
        try:
            self._link = self._cable.start(WATCH_SCRIPT, seconds=self._seconds, idle_s=WATCH_IDLE_S)
        except PhoneError as error:
            log.info("%s cannot be watched: %s", self._cable.serial, error)
            return self
        self._thread = threading.Thread(target=self._run, args=(self._link,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._link is not None:
            self._link.close()
        if self._thread is not None:
            self._thread.join()

    def _run(self, link: Link) -> None:
        text = ""
        try:
            for data in printed(link):
                text += data.decode("utf-8", errors="replace")
                *complete, text = text.split(f"{_END}\n")
                self._samples += [parse_state(part).sample for part in complete]
        except PhoneError as error:
            # The normal end, too: `__exit__` closes the link while this thread reads from it.
            log.debug("the watch of %s ended: %s", self._cable.serial, error)


def watch_condition(samples: tuple[StateSample, ...]) -> Condition | None:
    """Return the condition of a launch whose watch took more than its share of a core, None if it did not.

    Only the time after the first sample counts: until then the app has hardly begun.
    """
    share = watch_share(samples)
    if share is None or share <= 2 * _SHARE:
        return None
    return Condition(
        id=ConditionId.WATCH_LOAD,
        summary="watching the phone took a noticeable share of a core",
        detail=f"{100 * share:.1f} % of one core, in {len(samples)} samples",
    )


def watch_share(samples: tuple[StateSample, ...]) -> float | None:
    """Return the share of one core (1 is all of it) that the watch took, None with fewer than two samples."""
    costs = [(sample.at_ns, sample.watch_cpu_ns) for sample in samples if sample.watch_cpu_ns is not None]
    if len(costs) < 2 or costs[-1][0] <= costs[0][0]:
        return None
    (begin_ns, first_ns), (end_ns, last_ns) = costs[0], costs[-1]
    return (last_ns - first_ns) / (end_ns - begin_ns)
