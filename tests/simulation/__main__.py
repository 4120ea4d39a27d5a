"""The long form: every claim, its value, and whether it holds; exit code 1 if one does not.

``nights`` prints the table of what the nightly job does in every world instead, and ``nights NAME …`` a part of it.
"""

from __future__ import annotations

import sys
import time

from tests.simulation.claims import CLAIMS
from tests.simulation.nights import CASES, NIGHT_CLAIMS, table_row


def main(names: list[str]) -> int:
    """Test the claims called ``names``, or all of them; or print the table of nights."""
    if names[:1] == ["nights"]:
        return _table(names[1:])
    failed, claims = 0, CLAIMS | NIGHT_CLAIMS
    for name in names or claims:
        claim, began = claims[name], time.monotonic()
        value = claim.figure(claim.long)
        holds = claim.low <= value <= claim.high
        failed += not holds
        asked = f"{claim.low:g} to {claim.high:g}"
        said = f"{name:20} {value:8.4f}  ({asked:>12})  {'holds' if holds else 'FAILS'}  {claim.what}"
        sys.stdout.write(f"{said}; {claim.long} worlds, {time.monotonic() - began:.0f} s\n")
        sys.stdout.flush()
    return 1 if failed else 0


def _table(names: list[str]) -> int:
    for name in names or CASES:
        sys.stdout.write(f"{table_row(name, CASES[name].long)}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
