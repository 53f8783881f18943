"""WAVEFORM <-> SPECTRUM <-> STEM SPECTRA: STFT, tiling, ratio masks and the multichannel Wiener filter.

Pure functions, written once by the array API standard (https://data-apis.org/array-api): they take NumPy arrays on a
CPU and torch tensors on a GPU, and return arrays of the same kind on the same device.
"""
