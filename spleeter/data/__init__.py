"""SONGS -> BATCHES: tracks, lists of songs, their inspection, excerpts, batches, augmentation."""
