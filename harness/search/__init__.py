"""Automatic optimisation: the points measured so far, the next ones to try, and what to ship.

Everything here is a function of stored values. The loop that builds and measures is `harness.workflows.search`.
"""
