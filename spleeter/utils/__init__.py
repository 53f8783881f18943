"""Whole-file writing, spool, thread pool, logger and names: what every room uses and no room owns."""
