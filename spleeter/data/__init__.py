"""Songs with their stems -> batches of waveforms to train on. NumPy alone.

tracks.py        the files of a track's stems: musdb18, musdb18-HQ, a folder for each track
song_list.py     CSV <-> songs
inspection.py    a song's files -> their duration, and what is wrong with them: problems.py
excerpts.py      songs -> excerpts in a cache
batches.py       which segments are trained on at which step; excerpts -> batches
augmentation.py  what is changed in a segment, drawn at random
dataset.py       a configuration -> the excerpts that it trains and validates on
"""
