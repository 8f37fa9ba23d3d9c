"""Plain names of stages and statuses; those of measures and arms, and how figures are written, are the reports' (:mod:`auditor.words`)."""

from __future__ import annotations

from auditor.words import (
    ARM_NAMES,
    MEASURES,
    Word,
    in_words,
    limit_written,
    meaning_of,
    with_interval,
    word_of,
    written,
)
from auditor.words import arm_of as arm_name
from auditor.words import between as written_interval
from distill.store import Status

__all__ = [
    "ARM_NAMES",
    "MEASURES",
    "STAGE_NAMES",
    "STAGE_VERBS",
    "STATUS_ICONS",
    "STATUS_MARKS",
    "VERDICT_WORDS",
    "Word",
    "arm_name",
    "in_words",
    "limit_written",
    "meaning_of",
    "with_interval",
    "word_of",
    "written",
    "written_interval",
]

STATUS_MARKS: dict[Status, tuple[str, str]] = {
    "queued": ("○", "queued"),
    "running": ("●", "running"),
    "awaiting_review": ("◔", "awaiting review"),
    "complete": ("✔", "complete"),
    "failed": ("✖", "failed"),
    "cancelled": ("⊘", "cancelled"),
    "interrupted": ("◌", "interrupted, resumable"),
}
STATUS_ICONS: dict[Status, str] = {
    "queued": ":material/schedule:",
    "running": ":material/progress_activity:",
    "awaiting_review": ":material/rate_review:",
    "complete": ":material/check_circle:",
    "failed": ":material/cancel:",
    "cancelled": ":material/block:",
    "interrupted": ":material/pause_circle:",
}
STAGE_NAMES: dict[str, str] = {
    "preflight": "preflight",
    "data": "data",
    "teacher": "teacher",
    "labels": "labels",
    "review": "review",
    "students": "students",
    "predictions": "predictions",
    "timings": "timings",
    "audit": "audit",
}
STAGE_VERBS: dict[str, str] = {
    "preflight": "checking",
    "data": "reading data",
    "teacher": "preparing the teacher",
    "labels": "labelling",
    "review": "waiting for review",
    "students": "training",
    "predictions": "predicting",
    "timings": "timing",
    "audit": "auditing",
}
VERDICT_WORDS = {"yes": "can replace", "no": "cannot replace", "cannot tell": "cannot tell"}
