"""From lists of songs to a network that separates: songs -> excerpts -> batches -> steps -> model folder.

manifest.py      CSV <-> songs                       augmentation.py   segments changed at random
inspection.py    what is wrong with a song's files   features.py       sounds -> magnitudes
problems.py      how it is told                      losses.py         estimates and truth -> loss
excerpts.py      songs -> excerpts, in a cache       optimizers.py     TensorFlow's, with its defaults
lists.py, dataset.py   a configuration's songs       trainer.py        a step, a validation
batches.py       which segments, at which step       distributed.py    one training on several devices

start.py         the first weights                   summaries.py      its curves: history.py, and heatmap.py
state.py         all that is needed to go on         example.py        what becomes of a validation song
train.py         the front door, and the loop        watcher.py, stopwatch.py   how it goes
"""
