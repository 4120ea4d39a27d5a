"""Models: the card, the float network behind it, its data, and the key that identifies both."""
