"""The command `heirloom`."""
