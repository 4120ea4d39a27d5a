"""``perfetto``: the tracer in the background, with the one data source that the tests need."""

from __future__ import annotations

import re
import subprocess
import threading

from tests.vphone.calls import Call
from tests.vphone.jail import Pipes
from tests.vphone.power import boot_s, trace
from tests.vphone.system import System

NOT_FOUND = 127
# The tracer lives until it is told to end or its time is over; then it writes its file and goes.
_TRACER = """echo $$
trap 'kill $!; perfetto @write {file} {began} {poll}; exit' TERM
sleep {seconds} & wait
perfetto @write {file} {began} {poll}"""


def perfetto(system: System, call: Call) -> int:
    """Start a trace in the background and print its process, or write the file of one that ends."""
    if not system.state.has_perfetto:
        call.err("/system/bin/sh: perfetto: inaccessible or not found\n")
        return NOT_FOUND
    if call.args[:1] == ["@write"]:
        return _write(system, call.args[1:])
    place = system.jail.resolve("/data/local/tmp") / f"config-{id(call)}"
    call.read(place)
    config = place.read_text()
    place.unlink()
    poll = re.search(r"battery_poll_ms: (\d+)", config)
    duration = re.search(r"duration_ms: (\d+)", config)
    if "android.power" not in config or poll is None or duration is None or "-o" not in call.args:
        call.err("Failed to parse the trace config\n")
        return 1
    file = call.args[call.args.index("-o") + 1]
    script = _TRACER.format(file=file, began=boot_s(), poll=int(poll[1]) / 1000, seconds=int(duration[1]) / 1000)
    pipes = Pipes(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process = system.jail.spawn(["/system/bin/sh", "-c", script], pipes)
    assert process.stdout is not None
    with process.stdout as printed:
        pid = int(printed.readline())
    # Nobody else reaps it.
    threading.Thread(target=process.wait, name="tracer", daemon=True).start()
    system.tracers.append(pid)
    call.out(f"{pid}\n")
    return 0


def _write(system: System, args: list[str]) -> int:
    file, began, poll = args
    target = system.jail.resolve(file)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(trace(system.state, float(began), boot_s(), float(poll)))
    return 0
