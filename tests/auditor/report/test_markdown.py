"""Whatever a text holds, a Markdown reader shows it as it stands."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from auditor.report.markdown import escape

READER = MarkdownIt("gfm-like", {"html": True, "linkify": False})
ODD = st.text(alphabet=st.sampled_from("ab1 \\`*_{}[]()#+-.!|~$:=^@<>&;'\"/wx\n"), max_size=30)


@given(ODD)
@example("1. a")
@example("1) b")
@example("- c")
@example("# d")
@example("> e")
@example("===")
@example("---")
@example("+ f")
@example("~~~")
@example("&amp; &#60;b&#62;")
@example("<http://a.invalid>")
@example("[x]: http://a.invalid")
@example("\\")
def test_a_paragraph_is_its_text(text: str) -> None:
    flat = " ".join(text.split())
    tokens = READER.parse(escape(text))
    if not flat:
        assert not tokens
        return
    assert [t.type for t in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert plain(tokens[1].children or []) == flat


@given(ODD)
def test_a_cell_is_its_text(text: str) -> None:
    flat = " ".join(text.split())
    tokens = READER.parse(f"| a | b |\n| --- | --- |\n| {escape(text)} | end |")
    inline = [t for t in tokens if t.type == "inline"]
    assert [t.type for t in tokens].count("table_open") == 1 and len(inline) == 4
    assert plain(inline[2].children or []) == flat
    assert inline[3].content == "end"


def plain(children: list[Token]) -> str:
    assert {c.type for c in children} <= {"text", "text_special"}, [c.type for c in children]
    return "".join(child.content for child in children)
