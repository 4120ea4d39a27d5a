"""Benchmark programs of the runtimes: one module per program, listed in `registry`."""
