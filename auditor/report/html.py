"""The report as one self-contained HTML file. Autoescape is on, there is no script, and a policy in the file forbids to load anything."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from auditor.report.content import ReportContent
from auditor.report.svg import svg

FOLDER = Path(__file__).parent
MARKS = {"yes": ("✔", "yes"), "no": ("✖", "no"), "cannot tell": ("?", "open")}


def html(content: ReportContent) -> bytes:
    """UTF-8 bytes of the page."""
    mark, tone = MARKS.get(content.answer or "", ("○", "open"))
    css = Markup((FOLDER / "report.css").read_text(encoding="utf-8"))  # noqa: S704 - our own constant sheet
    return _template().render(r=content, mark=mark, tone=tone, css=css).encode()


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = svg
    return environment.get_template("report.html")
