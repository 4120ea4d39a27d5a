"""Exporters: one module per format, listed in `registry`."""
