"""One file per format that results are imported from."""
