"""Measurements of phonebench itself; run by ``make benchmark``, never by the tests."""
