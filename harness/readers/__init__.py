"""What a model file says about itself, read without its runtime: inputs, outputs, weights, further files."""
