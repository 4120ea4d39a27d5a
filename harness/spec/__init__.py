"""The spec of a run: models, devices, formats, variants, and how to measure."""
