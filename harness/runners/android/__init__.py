"""Builds the apps of the Android runner from ``android_runner/``, and finds and checks apps that were built before."""
