"""Every format parses with a reader that is not ours, loads nothing, runs nothing, and says how much is synthetic."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData
from markdown_it import MarkdownIt

from auditor.cli.main import main
from auditor.evidence.log import entries
from auditor.evidence.signing import fingerprint
from auditor.evidence.signoff import sign_off, state_of
from auditor.evidence.verify import verify_run
from auditor.report.bom import validate
from auditor.report.card import write_beside_model
from auditor.report.content import ReportContent, build
from auditor.report.render import FORMATS, FormatName, render
from auditor.report.stated import IntendedUse, state
from distill.errors import ReportError
from distill.store import Run
from distill.workspace import Workspace
from tests.auditor.report.conftest import Sealed
from tests.fakes import make_fake_run

LOADING = {"src", "srcset", "action", "formaction", "poster", "background", "data", "xlink:href", "ping"}
HOSTILE = (
    '<img src=x onerror="alert(1)"><script>alert(1)</script> ![p](http://evil.invalid/x.png) [c](javascript:alert(1)) '
    '\x1b[31m \x00 \u202eevil\u202c =HYPERLINK("http://evil.invalid","x") | a | <b> \u4f60\u597d '
)


def drawn(content: ReportContent, name: FormatName) -> bytes:
    draw_it = FORMATS[name].draw
    assert draw_it is not None
    return draw_it(content)


def metadata(readme: str) -> ModelCardData:
    """What huggingface_hub reads from a model card."""
    found = ModelCard(readme).data
    assert isinstance(found, ModelCardData)
    return found


class Reader(HTMLParser):
    """Tags, attributes and words of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def assert_quiet(page: str) -> Reader:
    """Nothing in the page runs or is loaded."""
    read = Reader(page)
    assert not {"script", "iframe", "object", "embed", "img", "link", "base", "form", "image", "use"} & set(read.tags)
    assert not [a for a in read.attributes if a[1].startswith("on") or a[1] in LOADING]
    assert all(value.startswith("#") for _, name, value in read.attributes if name == "href")
    assert "url(" not in page and "@import" not in page
    policy = next(v for t, n, v in read.attributes if n == "content" and "default-src" in v)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    return read


def test_html_is_self_contained_and_accessible(content: ReportContent) -> None:
    read = assert_quiet(drawn(content, "html").decode())
    assert read.tags.count("svg") == 3 == read.tags.count("desc") == read.tags.count("details")
    ids = [value for _, name, value in read.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert ("html", "lang", "en") in read.attributes
    assert ("meta", "content", str(content.synthetic)) in read.attributes


def test_markdown_reads_as_text(content: ReportContent) -> None:
    text = drawn(content, "md").decode()
    front = yaml.safe_load(text.split("---")[1])
    assert front["synthetic_labels"] == content.synthetic
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text.split("---", 2)[2])
    heads = [tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open" and t.tag == "h2"]
    assert heads == [section.title for section in content.sections]
    assert sum(t.type == "table_open" for t in tokens) > 10
    assert any(t.type == "code_block" and "heirloom verify" in t.content for t in tokens)


def test_json_is_the_documented_document_and_more(content: ReportContent) -> None:
    value = json.loads(drawn(content, "json"))
    assert value["schema_version"] == "1.0" and value["verdict"]["answer"] == content.answer
    assert value["report"]["synthetic"]["labels"] == content.synthetic == 50
    assert value["report"]["intended_use"]["by"] == "Ada"
    assert value["report"]["evidence"]["key"] == content.key == fingerprint(value["report"]["evidence"]["public_key"])


def test_the_model_card_parses_and_carries_its_results(content: ReportContent) -> None:
    card = metadata(drawn(content, "card").decode())
    results = {r.metric_type: r for r in card.eval_results or []}
    measure = content.material.measure("accuracy", "distilled")
    assert measure is not None and results["accuracy"].metric_value == pytest.approx(measure.value)
    assert "synthetic-labels" in (card.tags or [])
    assert card.to_dict()["synthetic_labels"] == content.synthetic  # type: ignore[no-untyped-call]


def test_the_bill_of_materials_validates(content: ReportContent) -> None:
    text = drawn(content, "bom").decode()
    assert validate(text) == ""
    assert validate(text.replace('"CycloneDX"', '"Other"')) != ""
    value = json.loads(text)
    student = value["metadata"]["component"]
    assert student["type"] == "machine-learning-model"
    assert student["modelCard"]["considerations"]["useCases"] == ["Sort airline tweets by mood."]
    assert {"name": "heirloom:synthetic-labels", "value": "50"} in student["properties"]
    assert {c["bom-ref"] for c in value["components"]} >= {"teacher", "data"}


def test_the_pdf_has_pages_an_outline_and_its_marks(content: ReportContent) -> None:
    data = drawn(content, "pdf")
    assert data.startswith(b"%PDF-") and data.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type /Page\b", data)) > 3
    assert b"/Outlines" in data and b"/Subtype /CIDFontType2" in data
    assert b"/JavaScript" not in data and b"/URI" not in data and b"/Launch" not in data
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL)
    assert sum(zlib.decompressobj().decompress(s) != b"" for s in streams if s[:1] == b"x") > 3
    if shutil.which("pdftotext"):
        said = subprocess.run(
            ["pdftotext", "-layout", "-", "-"], input=data, capture_output=True, check=True
        ).stdout.decode()
        assert "Verdict and gates" in said and "How to verify" in said and content.key in said.replace("\n", "")


def test_hostile_text_is_text_in_every_format(tmp_path: Path) -> None:
    labels = (HOSTILE[:60], "<b>n</b>", "p|![l](http://evil.invalid)")
    groups = {"<i>g</i>": ("<script>1</script>", "=cmd|x")}
    quick = {
        "name": HOSTILE[:119].replace("\x00", "").replace("\x1b", ""),
        "audit": {"resamples": 200, "skip": ["gender_bias", "languages"]},
    }
    run = make_fake_run(
        tmp_path,
        labels=labels,
        groups=groups,
        n_test=40,
        n_dev=30,
        n_pool=20,
        seeds=(1,),
        arms=("distilled",),
        audit=True,
        spec=quick,
    )
    workspace = Workspace(tmp_path).made()
    state(workspace, run, IntendedUse(purpose=HOSTILE, limits=HOSTILE * 15, not_for="---\n# head\n```"), HOSTILE)
    content = build(workspace, run)
    page = drawn(content, "html").decode()
    read = assert_quiet(page)
    assert "<script>alert(1)</script>" in "".join(read.words)
    for name in FORMATS:
        if name == "bundle":
            continue
        data = drawn(content, name)
        assert b"\x1b" not in data or name == "pdf"
        if name in {"html", "md", "card", "json", "bom"}:
            assert "\u202e" not in data.decode() and "\x00" not in data.decode()
    for name in ("md", "card"):
        body = drawn(content, name).decode().split("---\n", 2)[2]
        assert_no_markup(body)
    assert validate(drawn(content, "bom").decode()) == ""
    assert metadata(drawn(content, "card").decode()).to_dict()["heirloom"]["run"] == run.id  # type: ignore[no-untyped-call]


def assert_no_markup(body: str) -> None:
    """A CommonMark reader with HTML and bare links switched on finds no image, no link and no HTML."""
    reader = MarkdownIt("gfm-like", {"html": True, "linkify": False})
    kinds = {child.type for token in reader.parse(body) for child in (token, *(token.children or []))}
    assert not {"image", "link_open", "html_inline", "html_block"} & kinds


@pytest.mark.slow
def test_a_megabyte_is_cut(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, status="failed", n_test=20, n_pool=20, labels=("x" * 1_000_000, "y"))
    content = build(Workspace(tmp_path).made(), run)
    for name in ("html", "md", "card", "bom", "pdf"):
        assert len(drawn(content, name)) < 300_000, name


@pytest.mark.slow
def test_a_bundle_made_by_the_command_line_verifies_in_an_empty_home(
    finished: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, run = finished
    path = tmp_path / "report.zip"

    def call(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(list(words))
        return int(left.value.code or 0), capsys.readouterr().out

    monkeypatch.setenv("HEIRLOOM_HOME", str(workspace.root))
    assert call("report", run.id, "--format", "bundle", "-o", str(path), "--no-texts")[0] == 0
    assert call("report", run.id, "--format", "odt")[0] == 2
    key = build(workspace, run).key
    monkeypatch.setenv("HEIRLOOM_HOME", str(tmp_path / "empty"))
    code, said = call("verify", str(path), "--key", key)
    assert code == 0 and "Verified." in said
    assert call("verify", str(path), "--key", "0" * 32)[0] == 1


def test_a_bundle_holds_every_format_and_needs_a_sealed_run(finished: Sealed, tmp_path: Path) -> None:
    from auditor.evidence.bundle import Bundle

    members = Bundle.from_bytes(render(*finished, "bundle")).members
    assert {each.file for each in FORMATS.values() if each.draw} <= set(members)
    run = make_fake_run(tmp_path, status="failed", n_test=20, n_pool=20)
    with pytest.raises(ReportError, match="not complete"):
        render(Workspace(tmp_path).made(), run, "bundle")


def test_every_format_of_an_unfinished_run_is_drawn(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, status="queued", n_test=20, n_pool=20)
    content = build(Workspace(tmp_path).made(), run)
    for name, each in FORMATS.items():
        if each.draw is not None:
            assert each.draw(content), name
    assert validate(drawn(content, "bom").decode()) == ""
    assert not metadata(drawn(content, "card").decode()).eval_results


def test_the_card_is_written_beside_the_model_and_the_run_still_verifies(fresh: Sealed) -> None:
    workspace, run = fresh
    sign_off(workspace, run, "reviewed", "Ben", "read it")
    written = write_beside_model(workspace, run, build(workspace, run), "Ada")
    assert written and metadata(Path(written[0]).read_text(encoding="utf-8")).eval_results
    assert verify_run(workspace, Run(run.folder)).ok
    assert state_of(entries(workspace, run.id)).state == "reviewed"
