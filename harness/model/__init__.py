"""Model folders: the card, the float network, its data and its identity."""
