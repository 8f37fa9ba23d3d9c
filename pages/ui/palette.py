"""Colours, named once. Okabe and Ito's palette, which colour-blind readers can tell apart; shape and word always say the same."""

from __future__ import annotations

from typing import Literal

from distill.store import TEACHER

BLUE, VERMILLION, GREY, GREEN = "#0072B2", "#D55E00", "#999999", "#009E73"
PURPLE, ORANGE, SKY, YELLOW = "#CC79A7", "#E69F00", "#56B4E9", "#F0E442"

KIND_COLOURS: dict[str, str] = {
    TEACHER: BLUE,
    "distilled": VERMILLION,
    "self_distilled": VERMILLION,
    "iterative": VERMILLION,
    "given": VERMILLION,
    "hard_label": GREY,
    "fine_tuned": GREEN,
    "quantised": PURPLE,
    "pruned": ORANGE,
    "trimmed": YELLOW,
    "stacked": PURPLE,
    "token_kl": VERMILLION,
    "on_policy": VERMILLION,
    "step_by_step": VERMILLION,
    "step_by_step_labels": VERMILLION,
    "sequence": GREY,
    "people": SKY,
}
KIND_SYMBOLS: dict[str, str] = {
    TEACHER: "diamond",
    "distilled": "circle",
    "given": "circle",
    "hard_label": "square",
    "fine_tuned": "triangle-up",
    "quantised": "cross",
    "pruned": "x",
    "undistilled": "circle-open",
    "trimmed": "star",
    "stacked": "hexagram",
    "sequence": "square",
    "step_by_step": "circle-cross",
    "step_by_step_labels": "circle-cross",
    "on_policy": "circle-dot",
    "self_distilled": "circle-dot",
    "iterative": "circle-x",
}
# the theme's colour of the same hue, for coloured words; .streamlit/config.toml sets them for light and dark
_THEME_COLOURS: dict[str, str] = {
    BLUE: "blue",
    VERMILLION: "orange",
    GREY: "gray",
    GREEN: "green",
    PURPLE: "violet",
    ORANGE: "yellow",
}
NEUTRAL = "#7F8C99"
FAINT = "rgba(127,140,153,0.35)"
FAINT_STRONG = "rgba(127,140,153,0.9)"
GRID = "rgba(127,140,153,0.18)"

State = Literal["pass", "fail", "cannot tell"]
BadgeColour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray", "grey", "primary"]
STATE_MARKS: dict[str, str] = {"pass": "✔", "fail": "✖", "cannot tell": "?", "yes": "✔", "no": "✖"}
STATE_COLOURS: dict[str, BadgeColour] = {
    "pass": "green",
    "yes": "green",
    "fail": "red",
    "no": "red",
    "cannot tell": "yellow",
}
STATE_ICONS: dict[str, str] = {
    "pass": ":material/check_circle:",
    "yes": ":material/check_circle:",
    "fail": ":material/cancel:",
    "no": ":material/cancel:",
    "cannot tell": ":material/help:",
}

SEVERITY: dict[str, tuple[BadgeColour, str]] = {
    "serious": ("red", ":material/error:"),
    "warning": ("orange", ":material/warning:"),
    "notice": ("yellow", ":material/visibility:"),
    "info": ("gray", ":material/info:"),
}


def colour_of(kind: str) -> str:
    """The colour of an arm's kind; a kind that others added gets the neutral one."""
    return KIND_COLOURS.get(kind, NEUTRAL)


def symbol_of(kind: str) -> str:
    """The plotly marker of an arm's kind."""
    return KIND_SYMBOLS.get(kind, "circle")


def markdown_colour(kind: str) -> str:
    """The theme's colour word for an arm's kind."""
    return _THEME_COLOURS.get(colour_of(kind), "gray")
