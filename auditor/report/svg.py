"""Drawings as SVG: a title and a description for who cannot see them, no script, no link, nothing from outside."""

from __future__ import annotations

from markupsafe import Markup, escape

from auditor.report.blocks import PAPER, Box, Chart, Dot, Label, Line, Mark


def svg(chart: Chart, key: str) -> Markup:
    """One chart as an SVG element; ``key`` makes its ids unique on a page."""
    body = Markup("").join(_mark(mark) for mark in chart.marks)
    return Markup(
        '<svg viewBox="0 0 {w:g} {h:g}" role="img" aria-labelledby="{k}-t {k}-d" xmlns="http://www.w3.org/2000/svg">'
        '<title id="{k}-t">{title}</title><desc id="{k}-d">{says}</desc>{body}</svg>'
    ).format(w=chart.width, h=chart.height, k=key, title=chart.title, says=chart.says, body=body)


def corners(dot: Dot) -> list[tuple[float, float]]:
    """The corners of a marker that is no circle."""
    x, y, r = dot.x, dot.y, dot.radius
    if dot.shape == "square":
        s = 0.9 * r
        return [(x - s, y - s), (x + s, y - s), (x + s, y + s), (x - s, y + s)]
    if dot.shape == "diamond":
        return [(x, y - 1.25 * r), (x + 1.25 * r, y), (x, y + 1.25 * r), (x - 1.25 * r, y)]
    return [(x, y - 1.2 * r), (x + 1.1 * r, y + 0.8 * r), (x - 1.1 * r, y + 0.8 * r)]


def _mark(mark: Mark) -> Markup:
    if isinstance(mark, Line):
        dash = Markup(' stroke-dasharray="4 3"') if mark.dashed else Markup("")
        return Markup(
            '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}" stroke-width="{:g}"{}/>'
        ).format(mark.x1, mark.y1, mark.x2, mark.y2, mark.colour, mark.width, dash)
    if isinstance(mark, Box):
        return Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}"/>').format(
            mark.x, mark.y, mark.width, mark.height, mark.colour
        )
    if isinstance(mark, Label):
        weight = Markup(' font-weight="600"') if mark.bold else Markup("")
        return Markup('<text x="{:.1f}" y="{:.1f}" fill="{}" font-size="{:g}" text-anchor="{}"{}>{}</text>').format(
            mark.x, mark.y, mark.colour, mark.size, mark.anchor, weight, escape(mark.text)
        )
    if mark.shape in {"circle", "ring"}:
        fill = PAPER if mark.shape == "ring" else mark.colour
        return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{:g}" fill="{}" stroke="{}" stroke-width="1.6"/>').format(
            mark.x, mark.y, mark.radius, fill, mark.colour
        )
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners(mark))
    return Markup('<polygon points="{}" fill="{}"/>').format(points, mark.colour)
