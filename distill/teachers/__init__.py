"""Models that can be asked: one file per backend."""
