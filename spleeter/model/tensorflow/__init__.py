"""TensorFlow checkpoints of the original package, read without TensorFlow and without torch.

wire.py     protocol buffers          bundle.py   index and data files -> variables
table.py    the index file            names.py    variable -> weight of a network here
"""
