"""Comparisons of stored runs: cell by cell, only like with like, every verdict from an interval or a stated tolerance.

`compare_runs` is the way in. ``keys`` says what must agree before two figures are held against each other, ``metrics``
holds one rule a metric, ``words`` says it to people.
"""
