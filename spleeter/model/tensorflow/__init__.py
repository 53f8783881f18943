"""TensorFlow's checkpoint files, read without TensorFlow and without torch."""
