"""Thin doors kept for callers of the original package, and the package's logger."""
