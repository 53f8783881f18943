"""MAGNITUDES -> STEM MAGNITUDES: one file or folder a way to compute; base.py is the seam."""
