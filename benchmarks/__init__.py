"""Each headline speed figure as a script that prints a ratio against a named peer, measured in one run."""
