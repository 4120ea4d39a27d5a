"""Benchmark programs of the runtimes: one module each, listed in `registry`."""
