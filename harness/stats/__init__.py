"""Pure numbers: percentiles, intervals, pairs, verdicts, steady state, nightly screen, fidelity. All deterministic.

Nothing here imports another part of phonebench. Some modules need numpy, none needs scipy. The only file read is the
table of thresholds beside `screening`.
"""
