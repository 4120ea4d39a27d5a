"""Builds the iOS runner from ``ios_runner/``: fetches its runtimes' libraries, and calls Xcode on a Mac."""
