"""Stem magnitudes -> stem spectra, in torch: ratio masks and the multichannel Wiener filter."""
