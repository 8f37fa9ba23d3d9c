from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.ui.text import LONGEST, escaped, one_line, visible
from tests.fakes import RUN_ID
from tests.pages.driver import ADDRESSES, link_labels, open_page
from tests.pages.hostile import LABELS, NAME, STRINGS, hostile_run

ANYTHING = st.text(st.characters(codec=None), max_size=200)


@given(ANYTHING)
def test_nothing_invisible_is_left(text: str) -> None:
    shown = visible(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    shown.encode("utf-8")


@given(ANYTHING)
def test_every_mark_of_markdown_is_escaped(text: str) -> None:
    shown = escaped(text)
    rest = re.sub(r"\\[\\`*_{}\[\]()<>#+\-.!|~$:=&^\"']", "", shown)
    assert not re.search(r"[\\`*_{}\[\]()<>#|~$:!&]", rest)
    assert "\n" not in shown


def test_a_long_text_is_cut_and_says_so() -> None:
    shown = visible("x" * 1_000_000)
    assert len(shown) < LONGEST + 60
    assert "1,000,000 characters" in shown
    assert one_line("a\n b\t c") == "a b c"


@pytest.mark.slow
@pytest.mark.parametrize("address", ADDRESSES)
def test_hostile_strings_reach_no_markdown_unescaped(home: Path, address: str) -> None:
    hostile_run(home)
    app = open_page(address, run=RUN_ID)
    assert not app.exception
    raw = [*STRINGS[:5], *LABELS, NAME]
    marked = [*app.markdown, *app.caption, *app.title, *app.subheader, *app.error, *app.warning, *app.info]
    bodies = [element.value for element in marked] + link_labels(app)
    bodies += [block.label for block in app.expander] + [metric.label for metric in app.metric]
    for body in bodies:
        for attack in raw:
            assert attack not in body


@pytest.mark.slow
def test_an_item_with_a_long_hostile_text_is_shown_as_text(home: Path) -> None:
    run = hostile_run(home)
    frame = run.examples.part("test").frame
    row = frame.loc[frame["text"].str.startswith("<img"), "row_id"].iloc[0]
    app = open_page("examples", run=RUN_ID, item=str(row))
    assert not app.exception
    assert any(element.value.startswith("<img src=x") for element in app.text)
