"""Fuzzes the readers: ``python -m tests.fuzz`` for an hour over all, or ``python -m tests.fuzz NAME --seconds 60``.

It mutates examples with atheris (libFuzzer), led by which lines of phonebench they reach. An input that a reader
neither accepts nor refuses with its own error is written to a file and printed, as is one that takes too long.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.targets import TARGETS

SECONDS = 3600
SLOW_SECONDS = 10
MOST_MEMORY_MB = 3000
MOST_BYTES = 100_000


def main() -> int:
    """Fuzz one target in this process, or each of them in a process of its own. Returns the exit code."""
    arguments = _arguments()
    if len(arguments.names) == 1:
        _fuzz(arguments.names[0], arguments)
        return 0
    each = max(1, arguments.seconds // len(arguments.names))
    failed = [name for name in arguments.names if _start(name, each, arguments)]
    print(f"failed: {', '.join(failed)}" if failed else f"{len(arguments.names)} readers, nothing found")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*TARGETS, []], default=[], metavar="NAME", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for all targets together")
    parser.add_argument("--runs", type=int, default=-1, help="stop each after so many inputs")
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    arguments = parser.parse_args()
    arguments.names = arguments.names or list(TARGETS)
    return arguments


def _start(name: str, seconds: int, arguments: argparse.Namespace) -> int:
    options = ("--seconds", str(seconds), "--runs", str(arguments.runs), "--seed", str(arguments.seed))
    print(f"{name}: {seconds} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="phonebench-fuzz-") as folder:
        command = [sys.executable, "-m", "tests.fuzz", name, *options]
        return subprocess.run(command, env=os.environ | {"TMPDIR": folder}, check=False).returncode


def _fuzz(name: str, arguments: argparse.Namespace) -> None:
    """Never returns: libFuzzer ends the process, with 0 if it found nothing."""
    import logging

    import atheris

    # A reader may warn about each of a million inputs.
    logging.disable(logging.CRITICAL)
    with atheris.instrument_imports(include=["harness"], enable_loader_override=False):
        target = TARGETS[name]()

    def once(data: bytes) -> None:
        try:
            target.read(data)
        except target.refuses:
            return

    with tempfile.TemporaryDirectory(prefix="phonebench-seeds-") as folder:
        for number, seed in enumerate(target.seeds()):
            Path(folder, f"seed-{number}").write_bytes(seed[:MOST_BYTES])
        options = [f"-max_total_time={arguments.seconds}", f"-runs={arguments.runs}", f"-seed={arguments.seed}"]
        options += [f"-timeout={SLOW_SECONDS}", f"-rss_limit_mb={MOST_MEMORY_MB}", f"-max_len={MOST_BYTES}"]
        atheris.Setup([sys.argv[0], *options, "-print_final_stats=1", folder], once)
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
