"""``make soak``: rounds of eight virtual phones with cables pulled at random. Ends with 1 when a cell went wrong."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.farm import farm, play_round


def main() -> int:
    """Play the rounds, print a line each and the sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--phones", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began, dirty, cells, pulled = time.monotonic(), 0, 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with farm(folder, folder / "cache", count=asked.phones) as phones:
            for number in range(asked.rounds):
                found = play_round(phones, folder / "results", asked.seed + number)
                dirty += not found.clean
                cells += found.stored
                pulled += found.pulled
                sys.stdout.write(f"round {number + 1}: {found}\n")
                sys.stdout.flush()
    seconds = time.monotonic() - began
    sys.stdout.write(
        f"{asked.rounds} rounds of {asked.phones} phones in {seconds:.0f} s: {cells} cells stored, "
        f"{pulled} cables pulled, {dirty} rounds with a cell lost, twice or wrong\n"
    )
    return 1 if dirty else 0


if __name__ == "__main__":
    raise SystemExit(main())
