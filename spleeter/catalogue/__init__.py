"""Many files: which songs there are, where their stems go, and one failure that does not stop the rest."""
