"""Device kind ``host``: this computer."""
