"""Measures with a runtime's own benchmark program in the phone's shell."""
