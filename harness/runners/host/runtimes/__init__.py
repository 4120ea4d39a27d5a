"""The runtimes of the host: one module per format, listed in `registry`."""
