"""How good outputs are: class answers against labels, and the metric that a card names."""
