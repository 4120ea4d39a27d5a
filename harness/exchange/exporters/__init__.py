"""One file per format that results are exported to."""
