"""Files, packages, child processes, scratch folders and the clock."""
