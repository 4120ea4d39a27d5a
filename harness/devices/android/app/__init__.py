"""Measuring with the runner app."""
