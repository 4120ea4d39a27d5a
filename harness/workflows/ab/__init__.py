"""Compares two artifacts, or one under two settings, in interleaved random pairs, in one session on one device.

`chain.run_ab` is the whole chain for the command line. `harness.measure.pairs.run_pairs` is the session alone, for
callers that already have two jobs and an open device, such as the nightly job when it confirms a change.
"""
