"""Tracks with known stems -> scores of their separation, and reports.

evaluate.py   tracks -> separated stems, scores and their files; a stopped evaluation can be resumed
bss_eval.py   references and estimates -> SDR, ISR, SIR and SAR of each frame (BSS Eval v4)
filters.py    its least-squares distortion filters
windows.py    signals -> frames, and which of them are silent
sdr.py        SDR and SI-SDR of whole tracks
scores.py     the scores of a track <-> museval's JSON
report.py     the scores of all tracks -> CSV, Markdown, a box plot and a table for a terminal
"""
