"""What a report is made of. Renderers know these few shapes and nothing of runs; every text in them has been made visible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from auditor.report.text import one_line, visible

INK, FAINT, GRID, PAPER = "#1b2733", "#5b6875", "#d9dfe5", "#ffffff"
Tone = Literal["plain", "note", "missing", "code"]
Anchor = Literal["start", "middle", "end"]
Shape = Literal["circle", "square", "diamond", "triangle", "ring"]


@dataclass(frozen=True)
class Line:
    """A straight line in a drawing; coordinates in px, y downwards."""

    x1: float
    y1: float
    x2: float
    y2: float
    colour: str = GRID
    width: float = 1.0
    dashed: bool = False


@dataclass(frozen=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True)
class Dot:
    """A marker around its middle."""

    x: float
    y: float
    colour: str
    shape: Shape = "circle"
    radius: float = 4.5


@dataclass(frozen=True)
class Label:
    """A line of text; ``y`` is its baseline."""

    x: float
    y: float
    text: str
    colour: str = INK
    size: float = 11.0
    anchor: Anchor = "start"
    bold: bool = False


Mark: TypeAlias = Line | Box | Dot | Label


@dataclass(frozen=True)
class Paragraph:
    """Words. ``note`` is small print, ``missing`` says what is not there, ``code`` is typed as it stands."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Facts:
    """Name and value, one a row."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        columns: heads.
        rows: cells.
        numeric: positions of the columns that are set to the right.
        widths: shares of the width for paper; even when empty.
        small: set small: a reference and not an argument.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    widths: tuple[float, ...] = ()
    small: bool = False


@dataclass(frozen=True)
class Listing:
    """Sentences, one a bullet."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Chart:
    """A drawing with a title, one sentence that says what it shows, and the same data as a table."""

    title: str
    says: str
    width: float
    height: float
    marks: tuple[Mark, ...] = field(repr=False)
    table: Table = field(repr=False)


Block: TypeAlias = Paragraph | Facts | Table | Listing | Chart


@dataclass(frozen=True)
class Section:
    """A part of the report with an anchor."""

    key: str
    title: str
    blocks: tuple[Block, ...]


def facts(rows: Iterable[tuple[str, object]]) -> Facts:
    """Rows whose values are known; the others are left out."""
    return Facts(tuple((name, one_line(value, 600)) for name, value in rows if value not in (None, "", [], {})))


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numeric: Iterable[int] = (),
    widths: Sequence[float] = (),
    small: bool = False,
    longest: int = 400,
) -> Table:
    """A table whose cells are made visible, set on one line and cut after ``longest`` characters."""
    body = tuple(tuple(one_line(cell, longest) for cell in row) for row in rows)
    return Table(one_line(caption), tuple(map(one_line, columns)), body, frozenset(numeric), tuple(widths), small)


def paragraph(text: object, tone: Tone = "plain") -> Paragraph:
    """Words made visible."""
    return Paragraph(visible(text), tone)


def listing(items: Iterable[object]) -> Listing:
    """Bullets made visible."""
    return Listing(tuple(one_line(item, 1_000) for item in items))
