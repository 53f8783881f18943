"""MAGNITUDES -> STEM MAGNITUDES: the ways to compute a network. `base.py` is the seam; the rest is behind it."""
