"""Measures one cell: deploy, gate, launches, summary, accuracy and conditions."""
