"""How fast, and in how much memory: `python -m benchmarks --help`, from the root of the repository."""
