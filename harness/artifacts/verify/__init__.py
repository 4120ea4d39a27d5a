"""The checks that an artifact must pass before it may be measured."""
