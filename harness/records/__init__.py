"""Frozen facts that other stages store, compare and report."""
