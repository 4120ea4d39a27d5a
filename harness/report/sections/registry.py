"""The sections of a report, in the order of the page.

A new section is one module in this folder and one name in SECTIONS.
"""

from __future__ import annotations

from harness.report.sections import (
    advice,
    cells,
    charts,
    command,
    conditions,
    extras,
    facts,
    groups,
    guide,
    language,
    memory,
    missing,
    network,
    operators,
    origins,
    parts,
    search,
    variants,
)
from harness.report.sections.section import Section

# What to ship. The page opens with the answer. The terminal ends with it, where the reader's eye is when the command
# returns.
ANSWER: tuple[Section, ...] = (search, advice)

SECTIONS: tuple[Section, ...] = (
    *ANSWER,
    facts,
    cells,
    language,
    origins,
    conditions,
    missing,
    groups,
    operators,
    extras,
    parts,
    variants,
    charts,
    network,
    memory,
    guide,
    command,
)
