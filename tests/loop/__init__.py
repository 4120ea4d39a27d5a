"""How the tests run: what processes share, the order in which tests start, and which tests a change touches."""
