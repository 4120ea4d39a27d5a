"""The sections of a report: one module each, listed in `registry`. `section` holds what they are given and return."""
