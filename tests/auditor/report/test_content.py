"""The content is complete for runs of every kind, and says what is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.evidence.log import entries, record
from auditor.evidence.signoff import sign_off, state_of
from auditor.figures import figure
from auditor.report.annex import frameworks
from auditor.report.blocks import Chart, Facts, Listing, Paragraph, Section, Table
from auditor.report.charts import nice_ticks
from auditor.report.content import ReportContent, build
from auditor.report.known import known
from auditor.report.stated import IntendedUse, state
from auditor.report.text import visible
from auditor.types import Measure
from auditor.words import between, limit, with_interval
from distill.errors import ReportError
from distill.store import Status
from distill.workspace import Workspace
from tests.auditor.report.conftest import QUICK, Sealed
from tests.fakes import make_fake_run

KEYS = [
    "verdict", "use", "data", "models", "results", "bias", "review", "lineage", "expectations", "approval", "verify", "annex", "measures",
]  # fmt: skip


def words(section: Section) -> str:
    said: list[str] = []
    for block in section.blocks:
        if isinstance(block, Paragraph):
            said.append(block.text)
        elif isinstance(block, Facts):
            said += [f"{name}: {value}" for name, value in block.rows]
        elif isinstance(block, Listing):
            said += block.items
        else:
            table = block.table if isinstance(block, Chart) else block
            said += [" | ".join(row) for row in (table.columns, *table.rows)]
    return "\n".join(said)


def test_a_finished_run_has_every_section_and_figure(content: ReportContent) -> None:
    assert [section.key for section in content.sections] == KEYS
    assert content.answer in {"yes", "no", "cannot tell"} and content.headline
    report = content.material.report
    assert report is not None
    listed = sum(len(b.rows) for b in content.section("measures").blocks if isinstance(b, Table))
    assert listed == len(report.measures)
    charts = [b for b in content.section("results").blocks if isinstance(b, Chart)]
    assert [c.title.split()[0] for c in charts] == ["Accuracy", "F1", "Is"]
    assert all(c.table.rows and c.says for c in charts)
    assert "airline tweets by mood" in words(content.section("use"))
    assert "hard labels (control)" in words(content.section("models"))
    assert content.key in words(content.section("verify"))
    assert f"heirloom verify {content.run} --key {content.key}" in words(content.section("verify"))


def test_no_text_of_a_row_stands_in_the_report(content: ReportContent) -> None:
    everything = "\n".join(map(words, content.sections))
    assert not [text for text in content.material.run.examples.texts if text in everything]


def test_the_annex_fills_what_is_known_and_names_the_rest(content: ReportContent) -> None:
    said = words(content.section("annex"))
    assert "Monthly sample of 200." in said
    assert "not filled: the risk management system" in said
    assert "no claim of conformity" in said
    assert "Employment" not in said and "New York City Local Law 144: not applicable" in said
    assert "nobody was asked yet" in said  # of the parts that were not answered


def test_every_fact_that_the_annex_names_exists(content: ReportContent) -> None:
    wanted = {key for part in frameworks().parts for field in part.fields for key in field.knows}
    made = {"people", "limits", "drift", "impact", "groups", "personal", "lineage"}  # not known of every run
    assert wanted - made <= set(known(content.material)) | {"calibration", "slices"}
    assert all(part.source in frameworks().sources for part in frameworks().parts)


@pytest.mark.parametrize("status", ["queued", "failed", "cancelled", "interrupted", "awaiting_review"])
def test_a_run_that_is_not_finished_says_so_in_every_section(tmp_path: Path, status: Status) -> None:
    run = make_fake_run(tmp_path, status=status, n_test=30, n_pool=20)
    made = build(Workspace(tmp_path).made(), run)
    assert made.answer is None and [s.key for s in made.sections] == KEYS
    assert "The run is not complete." in made.missing and "There is no audit." in made.missing
    if status == "failed":
        assert "The disk is full." in made.detail


@pytest.mark.parametrize(
    ("human_labels", "models", "says"), [(False, True, "fidelity to the teacher"), (True, False, "skipped")]
)
def test_label_free_and_audit_only_runs(tmp_path: Path, human_labels: bool, models: bool, says: str) -> None:
    run = make_fake_run(
        tmp_path, n_test=40, n_dev=30, n_pool=20, seeds=(1,), arms=("distilled",), audit=True, spec=QUICK,
        human_labels=human_labels, models=models,
    )  # fmt: skip
    made = build(Workspace(tmp_path).made(), run)
    assert says in "\n".join(map(words, made.sections))
    assert "The run is not sealed: audit it again." in made.missing
    assert "not sealed" in words(made.section("verify"))


def test_a_statement_reopens_a_sign_off_and_needs_a_name(fresh: Sealed) -> None:
    workspace, run = fresh
    sign_off(workspace, run, "reviewed", "Ben", "read it")
    assert "An approval." in build(workspace, run).missing
    with pytest.raises(ReportError, match="needs a name"):
        state(workspace, run, IntendedUse(purpose="x"), " ")
    before = build(workspace, run).stamp
    state(workspace, run, IntendedUse(purpose="Sort \ud800 mail."), "Ada")
    assert state_of(entries(workspace, run.id)).reopened
    made = build(workspace, run)
    assert made.stamp != before and "Sort ? mail." in words(made.section("use"))


def test_an_open_review_round_is_missing_until_it_is_complete_or_closed(fresh: Sealed) -> None:
    workspace, run = fresh

    def wanting() -> list[str]:
        return [line for line in build(workspace, run).missing if "review is not" in line]

    def decide(row: str, by: str, kind: str = "label") -> None:
        record(workspace, run.id, by, "decision", {"round": 1, "queue": "sample", "row": row, "kind": kind})

    record(workspace, run.id, "Ben", "plan", {"round": 1, "plan": {"n": 2}})
    assert wanting() == ["The frozen review is not finished: 0 of 2 cards."]
    decide("a", "Ben")
    decide("a", "Eve")
    assert wanting() == ["The frozen review is not finished: 1 of 2 cards."]
    decide("b", "Ben")
    assert not wanting()
    decide("b", "Ben", "undo")
    assert wanting() == ["The frozen review is not finished: 1 of 2 cards."]
    record(workspace, run.id, "Ben", "plan", {"round": 1, "closed": True})
    assert not wanting()


def test_entries_after_the_signature_are_missing_one(fresh: Sealed) -> None:
    workspace, run = fresh
    record(workspace, run.id, "Ben", "decision", {"row": "r000001"})
    made = build(workspace, run)
    assert made.material.unsigned == 1 and any("since entry 0" in line for line in made.missing)
    sign_off(workspace, run, "reviewed", "Ben", "read it")
    assert build(workspace, run).material.unsigned == 0


def test_invisible_characters_are_seen_and_long_texts_are_cut() -> None:
    assert visible("\x1b[31m \x00 \u202e \ud800") == "␛[31m ␀ ⟨U+202E⟩ ⟨U+D800⟩"
    assert len(visible("x" * 1_000_000)) < 2_100 and "1,000,000 characters" in visible("x" * 1_000_000)


def test_measures_are_written_in_their_own_unit() -> None:
    share = Measure(name="accuracy", value=0.5651, low=0.4957, high=0.6318)
    assert with_interval(share) == "56.5 % [49.6, 63.2]"
    assert (
        with_interval(Measure(name="accuracy_difference", value=-0.04, low=-0.0675, high=0.01))
        == "−4.0 points [−6.8, +1.0]"
    )
    assert between(Measure(name="gender_bias_change", value=0.0, low=-0.005562, high=0.000826)) == "[−0.00556, 0.00083]"
    assert with_interval(Measure(name="size_bytes", value=9.0869e7, unit="bytes")) == "90.9 MB"
    assert limit("accuracy_difference", -0.02, "at_least") == "at least −2 points"
    assert limit("latency_speedup", 1.0, "at_least", "×") == "at least 1×"
    assert figure(None) == "–"


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (56.0, 56.0), (41.2, 98.9), (0.0, 0.0), (-3e-6, 2e-6)])
def test_ticks_are_round_and_enclose(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low and ticks[-1] >= high and 2 <= len(ticks) <= 9
