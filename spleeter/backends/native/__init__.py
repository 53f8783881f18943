"""Convolutions in C for processors with AMX, compiled when the package is installed; nothing depends on them."""
