"""Variants: the graph steps of a recipe applied to a float network, one file per step in ``steps/``.

The entry point is `harness.variants.make.make_variant`. Nothing heavy is imported here.
"""
