"""The per-layer scan that shows which layers are sensitive to int8."""
