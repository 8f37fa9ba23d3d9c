"""Distil: make a student. Data, New run, Runs, Run."""
