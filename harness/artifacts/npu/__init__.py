"""Files that are compiled ahead of time for the neural processor of one chip."""
