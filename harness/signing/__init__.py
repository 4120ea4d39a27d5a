"""Signatures of model files, model folders and runs: keys, and what each signature covers."""
