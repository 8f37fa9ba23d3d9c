"""People check a sample of the synthetic labels: plan, cards, decisions, what they prove, and the way back into training.

frame      the labels under review, read once
plan       how many, what that proves, how the lot is judged
rounds     freezing and logging a plan, dealing its cards
targeted   the separate queue of suspicious labels
desk       the next card, a decision, undo, adjudication: one transaction each, together with its chain entry
records    decisions as a table
outcome    error rate, lot verdict, slices; agreement between people and with the teacher
applying   a child run with label version n + 1
exchange/  CSV, JSONL, Parquet and Label Studio, both ways
"""

from __future__ import annotations

from auditor.review.records import decisions_frame

__all__ = ["decisions_frame"]
