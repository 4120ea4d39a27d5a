"""What runs on a board. The modules here need Python 3.11 and its standard library, and nothing of phonebench."""
