"""Automatic optimisation: the points that were measured, the walk to the next ones, and what to ship. Pure values.

The loop that builds and measures is `harness.workflows.search`. Nothing heavy is imported here.
"""
