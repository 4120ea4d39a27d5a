"""How the tests are run: what processes share, in which order tests begin, and which tests a change touches."""
