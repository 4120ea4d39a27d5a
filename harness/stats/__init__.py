"""Pure numbers: percentiles, intervals, pairs, verdicts, steady state, nightly screen, fidelity. No clock, no chance.

A leaf: nothing here imports another part of phonebench. numpy is needed by some modules, scipy by none. The one file
that is read is the table of thresholds beside `screening`.
"""
