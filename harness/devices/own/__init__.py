"""Measures on this computer with a runner that somebody else wrote."""
