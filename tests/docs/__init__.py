"""Tests of the documentation, and what runs its notebooks."""
