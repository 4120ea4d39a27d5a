"""Measures with the runner apps."""
