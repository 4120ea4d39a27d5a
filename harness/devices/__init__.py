"""Devices: one folder per kind, listed in `registry`. The only code that touches hardware."""
