"""Rows: where they come from, what their columns mean, how they are split. ``build.build_examples`` is the one entry."""
