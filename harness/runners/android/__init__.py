"""Builds the Android runner's apps from ``android_runner/``, finds built ones, and checks their version and signer."""
