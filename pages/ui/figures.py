"""Numbers as people read them, as in the reports (:mod:`auditor.figures`), and moments as pages say them."""

from __future__ import annotations

from datetime import UTC, datetime

from auditor.figures import (
    NOTHING,
    count,
    decimals,
    duration,
    figure,
    interval,
    money,
    percent,
    percent_interval,
    points,
    scaled,
    size,
    times,
)

__all__ = [
    "NOTHING",
    "ago",
    "count",
    "decimals",
    "duration",
    "figure",
    "interval",
    "moment",
    "money",
    "percent",
    "percent_interval",
    "points",
    "scaled",
    "size",
    "times",
    "unbroken",
]


def unbroken(sentence: str) -> str:
    """The sentence with no break between a figure and its per cent sign, for narrow places."""
    return sentence.replace(" %", "\u00a0%")


def moment(iso: str | None) -> datetime | None:
    """An ISO 8601 text as a moment in UTC; None when it is empty or unreadable."""
    try:
        found = datetime.fromisoformat(iso or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def ago(iso: str | None) -> str:
    """How long ago: ``just now``, ``12 min ago``, ``3 h ago``, ``2 days ago``, then the date."""
    then = moment(iso)
    if then is None:
        return NOTHING
    seconds = (datetime.now(UTC) - then).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    if seconds < 86_400:
        return f"{int(seconds // 3600)} h ago"
    days = int(seconds // 86_400)
    return f"{days} day{'s' if days > 1 else ''} ago" if days < 14 else f"{then:%d %b %Y}"
