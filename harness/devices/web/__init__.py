"""Device kind ``web``: browsers."""
