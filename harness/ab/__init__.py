"""Two artifacts, or one under two settings, in interleaved random pairs in one session on one device.

`run_ab` is the whole chain for the command line; `run_pairs` is the session itself, for whoever has two jobs and an
open device already (a nightly job confirming a candidate).
"""

from harness.ab.chain import ABRequest, run_ab
from harness.ab.reference import ABReference, parse_reference
from harness.ab.session import PairPlan, PairResult, PairSession, run_pairs

__all__ = [
    "ABReference",
    "ABRequest",
    "PairPlan",
    "PairResult",
    "PairSession",
    "parse_reference",
    "run_ab",
    "run_pairs",
]
