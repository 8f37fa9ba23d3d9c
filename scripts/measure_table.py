"""Write the table of measures in docs/SCHEMA.md from what the checks say of themselves. Run it after adding a measure."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "SCHEMA.md"
BEGIN, END = "<!-- measures -->", "<!-- /measures -->"


def table() -> str:
    """Markdown: one table, grouped by check."""
    from auditor.check import CHECKS, GIVES

    CHECKS.names()  # a check says what it measures when it is loaded
    lines = ["| check | measure | meaning |", "| --- | --- | --- |"]
    for check, measures in sorted(GIVES.items()):
        for position, (name, meaning) in enumerate(measures.items()):
            escaped = meaning.replace("|", "\\|")
            lines.append(f"| {'' if position else check} | `{name}` | {escaped} |")
    return "\n".join(lines)


def updated(page: str) -> str:
    """The page with a fresh table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
