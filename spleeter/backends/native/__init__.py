"""Convolutions in C for processors with AMX, compiled where the package is installed; elsewhere it works without."""
