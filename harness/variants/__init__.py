"""Variants: the graph steps of a recipe applied to a float network, one file a step kind.

The way in is `harness.variants.make.make_variant`. Nothing heavy is imported here.
"""
