"""Prove: review, evidence and the report."""
