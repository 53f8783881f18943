"""How a training is going.

progress.py    speed, and reports to a watcher
history.py     losses and speeds <-> history.csv
summaries.py   losses, speeds and an example -> history.csv and TensorBoard
example.py     the separation of a validation segment
"""
