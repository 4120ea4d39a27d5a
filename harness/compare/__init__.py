"""Compares stored runs cell by cell, like with like only; every verdict rests on an interval or a stated tolerance.

Start at `harness.compare.runs.compare_runs`. ``keys`` says what must be equal before two values are compared,
``metrics`` has one rule per kind of comparison, and ``words`` turns the result into text and JSON.
"""
