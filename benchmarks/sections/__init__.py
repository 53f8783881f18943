"""One module a section: `run(setting)` measures, and returns tables."""
