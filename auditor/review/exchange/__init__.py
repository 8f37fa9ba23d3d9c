"""A review may be done in another tool: cards and decisions go out and come in as CSV, JSONL, Parquet or Label Studio JSON."""
