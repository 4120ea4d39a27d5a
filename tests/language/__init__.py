"""Tests of language models, from the wire to the report."""
