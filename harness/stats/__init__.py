"""Pure numbers: percentiles, intervals, steady state, stop rules, fidelity, fronts. No I/O, no clock, no randomness.

A leaf: nothing here imports another part of phonebench. numpy is needed by some modules, scipy by none.
"""
