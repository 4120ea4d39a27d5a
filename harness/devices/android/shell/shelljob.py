"""One start of a benchmark program in the phone's shell, in a folder of its own that also receives its output.

The program does not depend on any connection: it runs in its own session and writes to files. A loose cable costs
nothing, and a program that nobody waits for any more is found by its folder and stopped.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from harness.devices.android.adb.cable import Cable, refusal_of
from harness.devices.android.advice import named, phone_error
from harness.devices.android.app.job import beating
from harness.devices.android.phone_store import FOLDER
from harness.system.text import whole_number

JOBS = f"{FOLDER}/jobs"
_START_S = 30.0
_READ_S = 60.0
# How much of a program's output is read; a program may print without end.
_MOST_BYTES = 4 << 20
# logcat's threadtime format: date, time, process, thread, level, tag, text.
_LOG_LINE = re.compile(r"^[\d-]+ [\d:.]+ +(\d+) +\d+ [A-Z] [^:]+: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellJob:
    """What to run: the words of the command, its affinity mask, and the log tag under which it prints, if any."""

    name: str
    words: tuple[str, ...]
    mask: str | None = None
    log_tag: str | None = None

    @property
    def folder(self) -> str:
        """The job's folder on the phone."""
        return f"{JOBS}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutput:
    """A program's exit code, None if it left none, and everything it printed, including its lines in the log."""

    exit_code: int | None
    text: str


def repeated(words: tuple[str, ...], times: int) -> tuple[str, ...]:
    """Return the words of a command that runs ``words`` that often in a row, until one fails with its exit code."""
    # The log is searched for the lines of these processes.
    once = '"$@" & echo $! >> tools; wait $! || exit'
    loop = f"left={times}; while [ $left -gt 0 ]; do {once}; left=$((left - 1)); done"
    return "sh", "-c", loop, "sh", *words


def start_job(cable: Cable, job: ShellJob) -> int:
    """Start a program detached from the connection, and return its session id. Raises `PhoneError`."""
    folder = job.folder
    # The script arrives on standard input. It writes its own process id, which setsid also makes the session's id; the
    # loop waits up to 2 s for it.
    command = f"""mkdir -p {folder} && cat > {folder}/run.sh || exit 1
setsid sh {folder}/run.sh < /dev/null > /dev/null 2>&1 &
for beat in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -s {folder}/pid ] && break; sleep 0.1; done
cat {folder}/pid 2> /dev/null; true"""
    result = cable.run(command, stdin=_script(job).encode(), seconds=_START_S)
    pid = whole_number(result.text)
    if pid is None:
        what = f"{named(cable.serial)} did not start {job.words[0]!r}"
        output = f"{result.text.strip()} {result.complaint}"
        raise phone_error(refusal_of(output), what, serial=cable.serial, command="setsid", output=output)
    return pid


def heartbeat(job: ShellJob, pid: int) -> str:
    """Return a shell loop that prints several times a second while the program runs."""
    return beating(f"[ ! -f {job.folder}/code ] && [ -d /proc/{pid} ]")


def read_job(cable: Cable, job: ShellJob) -> ToolOutput:
    """Return the program's exit code and output. Raises `PhoneError`."""
    folder = job.folder
    pids = f"cat {folder}/tool {folder}/tools 2> /dev/null"
    parts = [f"cat {folder}/code; echo @@tool; {pids}; echo @@said; tail -c {_MOST_BYTES} {folder}/said"]
    if job.log_tag:
        parts.append(f"echo; echo @@log; cat {folder}/log")
    text = cable.run(f"{'; '.join(parts)}; true", seconds=_READ_S).text
    code, _, rest = text.partition("@@tool\n")
    tool, _, rest = rest.partition("@@said\n")
    said, _, log = rest.partition("\n@@log\n")
    # The log holds the lines of every process with this tag, and starts slightly before this one.
    lines = [text for pid, text in _LOG_LINE.findall(log) if pid in tool.split()]
    exit_code = whole_number(code)
    return ToolOutput(exit_code=exit_code, text="\n".join(filter(None, (said.strip(), *lines))))


def stop_job(cable: Cable, job: ShellJob) -> None:
    """Stop the program and everything it started, and remove its folder. Raises `PhoneError`."""
    cable.run(f"job={job.folder}; {STOP}; true")


# The command line must name our folder: after a restart of the phone, another process may have this id.
STOP = (
    f'pid=; read pid < "$job/pid"; [ -n "$pid" ] && grep -q {FOLDER} /proc/$pid/cmdline && kill -9 -$pid; rm -rf "$job"'
)


def _script(job: ShellJob) -> str:
    command = shlex.join((*(("taskset", job.mask) if job.mask else ()), *job.words))
    # The log is a ring buffer, so it is followed while the program runs. It is read from this second on, because logcat
    # may start after the program.
    since = "$(date '+%m-%d %H:%M:%S.000')"
    follow = f"logcat -v threadtime -T \"{since}\" {job.log_tag}:V '*:S' > log & log=$!" if job.log_tag else ":"
    # logcat lags a little behind the program.
    end = "sleep 0.5; kill $log" if job.log_tag else ":"
    # The exit code is written last and renamed into place: once it exists, the output is complete.
    return f"""cd {job.folder} || exit 1
{follow}
{command} < /dev/null > said 2>&1 &
tool=$!
echo $tool > tool
echo $$ > pid
wait $tool
echo $? > code.tmp
{end}
mv code.tmp code
"""
