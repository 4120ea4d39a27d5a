"""From a spec to what will run: the cells of a run, and the holes with their reasons."""
