"""The claims of the protocol, tested against a known truth; ``python -m tests.simulation`` runs the long form."""
