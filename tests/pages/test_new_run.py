from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from distill.spec import spec_from_yaml
from distill.store import RunStore
from distill.workspace import Workspace
from pages.ui import draft, state
from tests.pages.driver import assert_well, open_page, said

WORDS = ["".join(chr(97 + (i * k) % 26) for k in (3, 5, 7, 11)) for i in range(200)]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """600 labelled rows that do not resemble one another."""
    draw = random.Random(5)
    lines = [f"{' '.join(draw.choice(WORDS) for _ in range(8))},{'good' if i % 3 else 'bad'}" for i in range(600)]
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are queued, but no process is started."""
    from distill import jobs

    monkeypatch.setattr(jobs, "ensure_runner", lambda *_, **__: False)


def choose_data(app: AppTest, path: Path) -> AppTest:
    """The page Data, on a file of this machine."""
    app.segmented_control(key="data_kind").set_value("file").run()
    app.text_input(key="data_path").set_value(str(path)).run()
    return app


def step(app: AppTest, number: int) -> AppTest:
    """Go to a step of New run by the Next button."""
    for _ in range(number - 1):
        app.button(key="step_next").click().run()
        assert_well(app)
    return app


def draft_of(app: AppTest) -> dict[str, Any]:
    """The spec that is being put together."""
    found: dict[str, Any] = app.session_state["heirloom.draft"]
    return found


def pasted(app: AppTest, text: str) -> AppTest:
    """Paste a spec into the last step."""
    step(app, 5)
    area = next(a for a in app.text_area if str(a.key).endswith(".yaml"))
    area.set_value(text).run()
    app.button(key="yaml_use").click().run()
    return app


def spec_text(path: Path, **more: str) -> str:
    """A small spec on a file."""
    extra = "".join(f"{name}: {value}\n" for name, value in more.items())
    return f"name: pasted\ndata:\n  source: {{kind: file, path: {path}}}\n  columns: {{label: label}}\n{extra}"


def test_data_are_described_and_carried_on(home: Path, rows: Path) -> None:
    app = choose_data(open_page("data"), rows)
    assert_well(app)
    assert "**600 rows**, all labelled, with 2 labels." in said(app)
    app.button(key="use_data").click().run()
    assert draft_of(app)["data"]["source"]["path"] == str(rows)
    assert draft_of(app)["data"]["columns"]["label"] == "label"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"text,label\n", "no rows"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"PAR1 torn", "truncated or damaged Parquet"),
        (b'text,label\n"never closed,x\n', "quote"),
    ],
)
def test_a_bad_file_is_one_sentence(home: Path, tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "bad"
    path.write_bytes(content)
    app = choose_data(open_page("data"), path)
    assert not app.exception
    assert sentence in app.error[0].value


def test_a_file_that_is_not_utf8_is_read_and_said(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("text,label\ncafé crème brûlée déjà,a\nthé à la menthe,b\n".encode("latin-1"))
    app = choose_data(open_page("data"), path)
    assert_well(app)
    assert "not UTF" in said(app).replace("\\", "")


def test_the_steps_lead_to_a_preflight_and_a_start(home: Path, rows: Path, quiet: None) -> None:
    app = pasted(open_page("new"), spec_text(rows))
    assert_well(app)
    assert any(m.label == "Time on this machine" for m in app.metric)
    assert app.button(key="start").disabled  # the log names who started it
    app.text_input(key="start_name").set_value("Ada").run()
    app.button(key="start").click().run()
    assert not app.exception
    runs = RunStore(Workspace(home)).all()
    assert [run.spec.name for run in runs] == ["pasted"]
    assert runs[0].status() == "queued"


def test_a_preset_is_laid_over_the_draft(home: Path, rows: Path) -> None:
    app = pasted(open_page("new"), spec_text(rows))
    preset = next(c for c in app.segmented_control if str(c.key).endswith(".preset"))
    preset.set_value("article").run()
    assert_well(app)
    assert draft_of(app)["training"]["temperature"] == 0.7
    assert draft_of(app)["training"]["max_texts"] == 5_000
    shown = next(code.value for code in app.code if "name: pasted" in code.value)
    assert spec_from_yaml(shown).training.temperature == 0.7


def test_what_is_typed_stays_when_steps_change(home: Path, rows: Path) -> None:
    app = pasted(open_page("new"), spec_text(rows))
    app.button(key="step_back").click().run()
    app.button(key="step_back").click().run()
    rate = next(n for n in app.number_input if str(n.key).endswith("training.learning_rate"))
    rate.set_value(0.0005).run()
    for _ in range(2):
        app.button(key="step_next").click().run()
        assert_well(app)
    shown = next(code.value for code in app.code if "name: pasted" in code.value)
    assert spec_from_yaml(shown).training.learning_rate == 0.0005


def test_an_arm_is_added_and_taken_away(home: Path, rows: Path) -> None:
    app = pasted(open_page("new"), spec_text(rows, arms="[distilled, hard_label]"))
    app.button(key="step_back").click().run()
    app.button(key="add_arm").click().run()
    assert_well(app)
    assert [arm["name"] for arm in draft_of(app)["arms"]] == ["distilled", "hard_label", "distilled-2"]
    remove = next(b for b in app.button if ".remove" in str(b.key) and "arm2" in str(b.key))
    remove.click().run()
    assert_well(app)
    assert [arm["name"] for arm in draft_of(app)["arms"]] == ["distilled", "hard_label"]


def test_an_unknown_key_is_named_with_the_nearest_known_one(home: Path, rows: Path) -> None:
    app = pasted(open_page("new"), spec_text(rows, seedz="[1]"))
    assert not app.exception
    text = " ".join(error.value for error in app.error)
    assert "seedz" in text
    assert "seeds" in text


def test_an_impossible_value_keeps_the_page_alive(home: Path, rows: Path) -> None:
    app = pasted(open_page("new"), spec_text(rows))
    app.button(key="step_back").click().run()
    app.button(key="step_back").click().run()
    layers = next(t for t in app.text_input if str(t.key).endswith("student.layers"))
    layers.set_value("0").run()
    for _ in range(2):
        app.button(key="step_next").click().run()
    assert not app.exception
    assert "at least one layer" in app.error[0].value
    assert app.button(key="step_back")


def test_another_task_brings_its_own_teachers_arms_and_gates(home: Path, rows: Path, quiet: None) -> None:
    app = pasted(open_page("new"), spec_text(rows))
    app.segmented_control(key="new_step").set_value(1).run()
    next(box for box in app.selectbox if box.label == "Task").set_value("generation").run()
    assert_well(app)
    app.segmented_control(key="new_step").set_value(2).run()
    teacher = next(box for box in app.selectbox if box.label == "Teacher")
    assert teacher.value == "local_lm" and not any("fine tuned" in option for option in teacher.options)
    assert any(number.label.lower().startswith("max new tokens") for number in app.number_input)
    app.segmented_control(key="new_step").set_value(4).run()
    assert_well(app)
    assert next(arm["kind"] for arm in draft_of(app)["arms"]) == "token_kl"
    gates = {gate["measure"] for gate in draft_of(app)["audit"]["gates"]}
    assert gates == {"token_agreement", "latency_speedup", "gender_bias_change"}
    assert not any(editor.key and "error" in str(editor.key) for editor in app.get("data_editor"))
    app.segmented_control(key="new_step").set_value(5).run()
    assert not app.exception
    assert draft_of(app)["data"]["source"]["path"] == str(rows)


def test_an_upload_keeps_its_name_as_text_and_nothing_of_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, object] = {}
    monkeypatch.setattr(state, "put", kept.__setitem__)
    monkeypatch.setattr(state, "get", lambda name, other=None: kept.get(name, other))
    draft.name_upload("/w/uploads/c46a.csv", "..\\..\\etc/broken.csv")
    assert draft.shown_name("/w/uploads/c46a.csv") == "broken.csv"
    assert draft.shown_name("/data/rows.csv") == "/data/rows.csv"
    assert draft.with_names("c46a.csv, line 3 has 3 cells.") == "broken.csv, line 3 has 3 cells."
