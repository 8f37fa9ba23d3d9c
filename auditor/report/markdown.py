"""The report as Markdown (CommonMark with tables). Every mark in a text is taken literally; HTML is escaped as well."""

from __future__ import annotations

import re

from auditor.report.blocks import Block, Chart, Facts, Listing, Paragraph, Table
from auditor.report.content import ReportContent

_MARKS = re.compile(r"([\\`*_\[\]!|~$])")
_LINKS = re.compile(r"(?i)(?<=[a-z]):(?=//)|(?<=www)\.|@")  # bare addresses become links
_STARTS = re.compile(r"^([-+=#:]|\d+[.)])(?=\s|$|[-=#:])")  # what begins a block
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def markdown(content: ReportContent) -> bytes:
    """UTF-8 bytes; the front matter carries the machine-readable marks."""
    front = [
        "---",
        f"run: {content.run}",
        f'audit_sha256: "{content.digest}"',
        f"synthetic_{content.unit}: {content.synthetic}",
        "digital_source_type: trainedAlgorithmicMedia",
        f"sign_off: {content.state}",
        "---",
    ]
    head = [f"# {escape(content.name)}", f"**{escape(content.headline)}** {escape(content.detail)}".strip()]
    head.append(
        f"Run {escape(content.run)}, {escape(content.status)}, drawn {escape(content.made_at)} UTC. Report: {content.state}."
    )
    if content.missing:
        head.append("Not there yet:\n\n" + "\n".join(f"- {escape(line)}" for line in content.missing))
    return ("\n".join(front) + "\n\n" + "\n\n".join([*head, *body(content)]) + "\n").encode()


def body(content: ReportContent, skip: tuple[str, ...] = ()) -> list[str]:
    """The sections as paragraphs of Markdown, without those named in ``skip``."""
    pieces: list[str] = []
    for section in content.sections:
        if section.key not in skip:
            pieces.append(f"## {escape(section.title)}")
            pieces += [_block(block) for block in section.blocks]
    return pieces


def escape(text: str) -> str:
    """``text`` on one line, shown as it stands by any Markdown reader, also by one that passes HTML through."""
    flat = "".join(_HTML.get(c, c) for c in " ".join(text.split()))
    flat = _LINKS.sub(lambda found: f"\\{found[0]}", _MARKS.sub(r"\\\1", flat))
    return _STARTS.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", flat)


def _block(block: Block) -> str:
    if isinstance(block, Paragraph):
        if block.tone == "code":
            return "\n".join(f"    {line}" for line in block.text.splitlines())
        text = escape(block.text)
        return f"*{text}*" if block.tone in ("note", "missing") else text
    if isinstance(block, Facts):
        return _rows(("", ""), block.rows, frozenset())
    if isinstance(block, Listing):
        return "\n".join(f"- {escape(item)}" for item in block.items)
    table = block.table if isinstance(block, Chart) else block
    return _table(table)


def _table(table: Table) -> str:
    return f"**{escape(table.caption)}**\n\n{_rows(table.columns, table.rows, table.numeric)}"


def _rows(columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...], numeric: frozenset[int]) -> str:
    rule = ["---:" if k in numeric else ":---" for k in range(len(columns))]
    lines = [map(escape, columns), rule, *(map(escape, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
