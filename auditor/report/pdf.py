"""The report as PDF through fpdf2, with a font of its own: DejaVu Sans Condensed, so that no system package is needed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import TextEmphasis
from fpdf.fonts import FontFace

from auditor.report.blocks import (
    FAINT,
    GRID,
    INK,
    PAPER,
    Block,
    Box,
    Chart,
    Dot,
    Facts,
    Label,
    Line,
    Listing,
    Mark,
    Paragraph,
    Table,
)
from auditor.report.content import ReportContent
from auditor.report.svg import corners

FONTS = Path(__file__).parent / "fonts"
FAMILY = "DejaVu"
MARGIN, WIDTH = 16.0, 178.0  # mm, on A4
LINE = 1.42  # line height as a multiple of the font size
MM = 25.4 / 72
WASH = "#f5f7f9"
TONES = {"yes": "#00724f", "no": "#b3261e", "cannot tell": "#c79100", None: "#5b6875"}
MARKS = {"yes": "✔", "no": "✖", "cannot tell": "?", None: "○"}


def pdf(content: ReportContent) -> bytes:
    """Bytes of the file: A4, numbered pages, an outline, and the machine-readable marks in its properties."""
    paper = _Paper(content)
    _cover(paper, content)
    for section in content.sections:
        paper.heading(section.title, new_page=section.key in ("annex", "measures"))
        for block in section.blocks:
            paper.block(block)
    return bytes(paper.output())


class _Paper(FPDF):  # type: ignore[misc]
    """A4 with the house's type. Text is never read as markup."""

    def __init__(self, content: ReportContent) -> None:
        super().__init__(format="A4")
        self.line_at_foot = f"{content.run} · audit {content.digest[:12] or 'none'} · {content.state}"
        self.add_font(FAMILY, "", FONTS / "DejaVuSansCondensed.ttf")
        self.add_font(FAMILY, "B", FONTS / "DejaVuSansCondensed-Bold.ttf")
        self.known = set(self.fonts[FAMILY.lower()].cmap)
        self.set_margins(MARGIN, 16, MARGIN)
        self.set_auto_page_break(True, 20)
        self.set_lang("en-GB")
        self.set_title(self.printable(f"{content.name} · distillation report"))
        self.set_creator("Heirloom")
        # the moment of the report and not of the call: a verifier draws the same bytes again
        self.set_creation_date(datetime.fromisoformat(content.made_at).replace(tzinfo=UTC))
        self.set_subject(f"run {content.run}, audit SHA-256 {content.digest}")
        self.set_keywords(f"synthetic-{content.unit}={content.synthetic}; digital-source-type=trainedAlgorithmicMedia")
        self.add_page()

    def printable(self, text: str) -> str:
        """Characters that the font lacks by their code point, so that nothing is lost silently."""
        return "".join(c if c in "\n\t" or ord(c) in self.known else f"⟨U+{ord(c):04X}⟩" for c in text)

    def footer(self) -> None:
        self.set_y(-13)
        self.type(7, FAINT)
        self.cell(WIDTH / 2, 4, self.line_at_foot)
        self.cell(WIDTH / 2, 4, f"{self.page_no()} / {{nb}}", align="R")

    def type(self, points: float, colour: str = INK, *, bold: bool = False) -> None:
        self.set_font(FAMILY, "B" if bold else "", points)
        self.set_text_color(colour)

    def words(self, text: str, points: float = 9, colour: str = INK, *, bold: bool = False, indent: float = 0) -> None:
        self.type(points, colour, bold=bold)
        self.set_x(MARGIN + indent)
        self.multi_cell(
            WIDTH - indent, points * MM * LINE, self.printable(text), align="L", new_x="LMARGIN", new_y="NEXT"
        )

    def room(self, millimetres: float) -> None:
        """Start a new page unless so much fits on this one."""
        if self.get_y() + millimetres > self.page_break_trigger:
            self.add_page()

    def heading(self, title: str, *, new_page: bool) -> None:
        if new_page:
            self.add_page()
        self.room(30)
        self.ln(0 if new_page else 6)
        self.start_section(self.printable(title))
        self.set_draw_color(GRID)
        self.set_line_width(0.25)
        self.line(MARGIN, self.get_y(), MARGIN + WIDTH, self.get_y())
        self.ln(3)
        self.words(title, 12.5, bold=True)
        self.ln(1.5)

    def block(self, block: Block) -> None:
        if isinstance(block, Paragraph):
            self.paragraph(block)
        elif isinstance(block, Facts):
            self.facts(block)
        elif isinstance(block, Listing):
            for item in block.items:
                self.room(6)
                self.type(9, FAINT)
                self.text(MARGIN + 1, self.get_y() + 3.2, "•")
                self.words(item, 9, indent=5)
            self.ln(1.5)
        elif isinstance(block, Table):
            self.rows(block)
        else:
            self.chart(block)

    def paragraph(self, block: Paragraph) -> None:
        if block.tone == "code":
            self.type(8)
            self.set_fill_color(WASH)
            self.multi_cell(
                WIDTH,
                8 * MM * 1.6,
                self.printable(block.text),
                align="L",
                fill=True,
                padding=2,
                new_x="LMARGIN",
                new_y="NEXT",
            )
        elif block.tone == "missing":
            self.words(f"○ {block.text}", 9, "#7a5a00")
        else:
            small = block.tone == "note"
            self.words(block.text, 7.8 if small else 9, FAINT if small else INK)
        self.ln(1.5)

    def facts(self, block: Facts) -> None:
        rows = Table("", ("", ""), block.rows, widths=(1.3, 4))
        self.rows(rows, heads=False)

    def rows(self, block: Table, *, heads: bool = True) -> None:
        points = 7.2 if block.small else 8.5
        if block.caption:
            self.room(18)
            self.words(block.caption, 9, bold=True)
        self.type(points)
        self.set_draw_color(GRID)
        self.set_fill_color(PAPER)  # a table fills its cells with whatever was filled last
        self.set_line_width(0.15)
        align = tuple("RIGHT" if k in block.numeric else "LEFT" for k in range(len(block.columns)))
        head = FontFace(emphasis=TextEmphasis.NONE, color=FAINT, size_pt=min(points, 7.6))
        with self.table(
            width=WIDTH, col_widths=block.widths or None, line_height=points * MM * 1.35, text_align=align, padding=(0.7, 1.4, 0.7, 0),
            borders_layout="HORIZONTAL_LINES", headings_style=head, first_row_as_headings=heads, align="LEFT",
            v_align="TOP",
        ) as drawn:  # fmt: skip
            if heads:
                row = drawn.row()
                for column in block.columns:
                    row.cell(self.printable(column))
            for line in block.rows:
                row = drawn.row()
                for position, cell in enumerate(line):
                    faint = not heads and position == 0
                    row.cell(self.printable(cell), style=FontFace(color=FAINT) if faint else None)
        self.ln(3)

    def chart(self, block: Chart) -> None:
        scale = WIDTH / block.width
        self.room(block.height * scale + 8)
        self.words(block.title, 9, bold=True)
        self.ln(1)
        left, top = MARGIN, self.get_y()
        for mark in block.marks:
            self.mark(mark, left, top, scale)
        self.set_xy(MARGIN, top + block.height * scale + 1)
        self.words(block.says, 7.2, FAINT)
        self.ln(3)

    def mark(self, mark: Mark, left: float, top: float, s: float) -> None:
        if isinstance(mark, Line):
            self.set_draw_color(mark.colour)
            self.set_line_width(mark.width * s)
            self.set_dash_pattern(1, 0.8) if mark.dashed else self.set_dash_pattern()
            self.line(left + mark.x1 * s, top + mark.y1 * s, left + mark.x2 * s, top + mark.y2 * s)
            self.set_dash_pattern()
        elif isinstance(mark, Box):
            self.set_fill_color(mark.colour)
            self.rect(left + mark.x * s, top + mark.y * s, mark.width * s, mark.height * s, style="F")
        elif isinstance(mark, Label):
            self.type(mark.size * s / MM, mark.colour, bold=mark.bold)
            text = self.printable(mark.text)
            shift = {"start": 0.0, "middle": 0.5, "end": 1.0}[mark.anchor] * self.get_string_width(text)
            self.text(left + mark.x * s - shift, top + mark.y * s, text)
        else:
            self.dot(mark, left, top, s)

    def dot(self, mark: Dot, left: float, top: float, s: float) -> None:
        self.set_draw_color(mark.colour)
        self.set_fill_color(PAPER if mark.shape == "ring" else mark.colour)
        self.set_line_width(1.6 * s)
        if mark.shape in ("circle", "ring"):
            self.circle(left + mark.x * s, top + mark.y * s, mark.radius * s, style="DF")
        else:
            self.polygon([(left + x * s, top + y * s) for x, y in corners(mark)], style="F")


def _cover(paper: _Paper, content: ReportContent) -> None:
    """Title, verdict and what is not there yet, on the first page."""
    colour = TONES[content.answer]
    paper.type(8, FAINT)
    paper.cell(WIDTH / 2, 5, "Heirloom · distillation report")
    paper.cell(WIDTH / 2, 5, content.state, align="R", new_x="LMARGIN", new_y="NEXT")
    paper.ln(2)
    paper.words(content.name, 19, bold=True)
    paper.ln(1)
    paper.words(f"run {content.run} · {content.status.replace('_', ' ')} · drawn {content.made_at} UTC", 8, FAINT)
    paper.ln(5)
    top, page = paper.get_y(), paper.page_no()
    paper.ln(1)
    paper.words(f"{MARKS[content.answer]} {content.headline}", 12.5, bold=True, indent=5)
    if content.detail:
        paper.ln(1)
        paper.words(content.detail, 9.5, indent=5)
    paper.ln(1)
    if paper.page_no() == page:
        paper.set_fill_color(colour)
        paper.rect(MARGIN, top, 1.4, paper.get_y() - top, style="F")
    paper.ln(4)
    if content.missing:
        paper.words("Not there yet", 9, "#7a5a00", bold=True)
        for line in content.missing:
            paper.words(f"○ {line}", 9, "#7a5a00")
        paper.ln(3)
    if content.synthetic:
        said = f"The student learnt from {content.synthetic:,} synthetic {content.unit}. This file's properties say so in machine-readable form."
        paper.words(said, 8, FAINT)
