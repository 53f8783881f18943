"""Tracks with known stems in, scores of their separation out: BSS Eval v4 and its reports."""
