"""Charts: one module per kind."""
