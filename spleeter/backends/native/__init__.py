"""What is compiled: arithmetic that torch has no operator for. Where it is missing, the package works without it."""
