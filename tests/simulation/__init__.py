"""The claims of the protocol against a known truth; ``python -m tests.simulation`` runs the long form."""
