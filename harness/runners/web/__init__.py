"""The runner of browsers: a page and a classic worker in ``page/``, and the runtimes' files that npm carries."""
