"""Two artifacts, or one under two settings, in interleaved random pairs in one session on one device.

`run_ab` is the whole chain for the command line; `run_pairs` is the session itself, for whoever has two jobs and an
open device already (a nightly job confirming a candidate).
"""
