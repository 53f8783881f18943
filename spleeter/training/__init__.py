"""From lists of songs to a network that separates: songs -> excerpts -> batches -> steps -> model folder.

manifest.py      CSV <-> songs                       augmentation.py   sounds and magnitudes changed at random
inspection.py    what is wrong with a song's files   losses.py         estimates and truth -> loss
problems.py      how it is told                      optimizers.py     TensorFlow's, with its defaults
excerpts.py      songs -> excerpts, kept in a cache  state.py          all that a training needs to go on
batches.py       which excerpts, at which step       distributed.py    one training on several devices
trainer.py       the steps                           summaries.py      its curves
train.py         the front door                      history.py        as a CSV file
                                                     heatmap.py        magnitudes as a picture
"""
