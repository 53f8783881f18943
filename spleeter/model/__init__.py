"""Networks that estimate stem magnitudes from magnitudes, and their weights.

functions/    builders of the networks (torch)     checkpoint.py   a model folder <-> weights as arrays
rules/        the rules for their configurations   tensorflow/     checkpoints of the original package
                                                   provider/       model folders: found, or downloaded
"""
