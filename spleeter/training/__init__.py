"""A configuration and lists of songs -> a trained network. Read train.py, loop.py and step.py, in this order.

train.py          the entry: checks, data, first weights or saved state, then the loop
start.py          the model folder, and the first weights
loop.py           the training loop: steps, checkpoints, validations
step.py           a step of training, a validation
features.py       a batch of waveforms -> magnitudes
losses.py         estimates and true stems -> losses
optimizers.py     TensorFlow's, with its defaults
distributed.py    one training in several processes
state.py          all that is needed to resume
monitoring/       progress reports, history.csv, TensorBoard
"""
