"""The long form: every claim, its value, and whether it holds; exit code 1 if one does not.

``nights`` prints the table of what the nightly job does in every world instead, and ``nights NAME …`` a part of it;
``screen`` and ``screen NAME …`` print that of the screen alone. ``launches``, ``pairs``, ``calls`` and ``energy``
print the tables of the worlds of one run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

from tests.simulation.claims import CLAIMS
from tests.simulation.night_worlds import CHANGE_WORLDS, NULL_WORLDS
from tests.simulation.nights import CASES, NIGHT_CLAIMS, table_row
from tests.simulation.screens import SCREEN_CLAIMS
from tests.simulation.screens import table_row as screen_row
from tests.simulation.tables import TABLES


def main(names: list[str]) -> int:
    """Test the claims called ``names``, or all of them; or print the table of nights."""
    if names[:1] == ["nights"]:
        return _table(table_row(name, CASES[name].long) for name in names[1:] or CASES)
    if names[:1] == ["screen"]:
        return _table(screen_row(name) for name in names[1:] or NULL_WORLDS | CHANGE_WORLDS)
    if names and names[0] in TABLES:
        return _table(TABLES[names[0]]())
    failed, claims = 0, CLAIMS | NIGHT_CLAIMS | SCREEN_CLAIMS
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


def _table(rows: Iterable[str]) -> int:
    for row in rows:
        sys.stdout.write(f"{row}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
