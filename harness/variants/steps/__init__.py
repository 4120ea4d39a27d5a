"""Graph steps: one module each."""
