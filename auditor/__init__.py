"""Reads finished runs and never trains: checks, statistics, review, evidence, reports, the command line."""
