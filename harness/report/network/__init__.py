"""The network of each file as a graph: its nodes with what was measured of them."""
