"""Waveform <-> spectrum, in torch: the STFT and its inverse, and segments of T frames."""
