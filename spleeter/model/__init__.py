"""Magnitudes -> stem magnitudes: the networks, their weights, and where both come from."""
