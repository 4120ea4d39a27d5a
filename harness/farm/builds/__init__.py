"""Builds on hosts of a farm, ahead of the devices that wait for them."""
