from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auditor.audit import audit_run
from auditor.check import AuditInput
from auditor.examples_view import KINDS, ExamplesFilter, build_view, counts, item, query, view_meta
from distill.errors import DataError, StoreError
from distill.store import Run
from tests.fakes import make_fake_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = make_fake_run(tmp_path_factory.mktemp("view"), n_test=400)
    build_view(AuditInput(made))
    return made


def _means(run: Run, arm: str) -> np.ndarray:
    ids = run.examples.part("test").ids
    seeds = (0,) if arm == "teacher" else (1, 2, 3)
    mean: np.ndarray = np.mean([run.prediction(arm, seed).aligned(ids).probs for seed in seeds], axis=0)
    return mean


def test_kinds_equal_numpy(run: Run) -> None:
    test = run.examples.part("test")
    teacher, student = _means(run, "teacher").argmax(axis=1), _means(run, "distilled").argmax(axis=1)
    expected = {
        "regressions": int(((teacher == test.y) & (student != test.y)).sum()),
        "gains": int(((teacher != test.y) & (student == test.y)).sum()),
        "disagreements": int((teacher != student).sum()),
        "all": 400,
    }
    assert counts(run, ExamplesFilter()) == expected
    for kind in KINDS:
        assert query(run, ExamplesFilter(kind=kind)).total == expected[kind]


def test_counts_equal_the_check_of_fidelity(tmp_path: Path) -> None:
    made = make_fake_run(tmp_path)
    report = audit_run(made)
    found = counts(made, ExamplesFilter())
    for name in ("regressions", "gains", "disagreements"):
        measure = report.measure(name, "distilled")
        assert measure is not None and measure.value == found[name]


def test_rows_carry_every_arm(run: Run) -> None:
    test = run.examples.part("test")
    row = item(run, str(test.ids[17]))
    assert row.text == test.texts[17]
    assert [view.arm for view in row.arms] == ["teacher", "distilled", "undistilled", "hard_label", "fine_tuned"]
    assert row.groups == {name: values[17] for name, values in test.groups.items()}
    view = row.arm("distilled")
    assert view is not None
    np.testing.assert_allclose(view.probs, _means(run, "distilled")[17], atol=1e-6)
    assert view.gap == pytest.approx(
        0.5 * np.abs(_means(run, "distilled")[17] - _means(run, "teacher")[17]).sum(), abs=1e-6
    )
    assert row.arms[0].outcome is None


def test_pages_cover_all_rows_once_in_order(run: Run) -> None:
    wanted = ExamplesFilter(order="gap", descending=True)
    pages = [query(run, wanted, page, 64) for page in range(7)]
    rows = [row for page in pages for row in page.rows]
    assert len({row.row_id for row in rows}) == 400
    gaps = [view.gap for row in rows if (view := row.arm("distilled")) is not None]
    assert gaps == sorted(gaps, reverse=True)
    beyond = query(run, wanted, 99, 64)
    assert (beyond.rows, beyond.total) == ((), 400)


def test_filters_narrow_together(run: Run) -> None:
    test = run.examples.part("test")
    probs = _means(run, "hard_label")
    sure = probs.max(axis=1)
    mask = (test.groups["gender"] == "female") & (probs.argmax(axis=1) == 2) & (sure >= 0.5) & (sure <= 0.9)
    mask &= np.array(["crew" in text for text in test.texts])
    wanted = ExamplesFilter(
        arm="hard_label",
        cls="positive",
        side="student",
        confidence=(0.5, 0.9),
        group=("gender", "female"),
        search="CREW",
    )
    assert query(run, wanted).total == mask.sum() > 0
    assert counts(run, replace(wanted, kind="gains"))["all"] == mask.sum()


@pytest.mark.parametrize("text", ["'; DROP TABLE x; --", "100%", "_", '"', "\\", "\x00", "🙂", "a" * 5_000])
def test_what_a_person_types_is_text(run: Run, text: str) -> None:
    assert query(run, ExamplesFilter(search=text)).total == 0
    assert query(run, ExamplesFilter(group=("gender", text))).total == 0
    with pytest.raises(DataError):
        item(run, text)
    for broken in (ExamplesFilter(cls=text), ExamplesFilter(arm=text), ExamplesFilter(group=(text, "x"))):
        with pytest.raises(DataError, match="Known:"):
            query(run, broken)


def test_strange_names_of_columns_and_values(tmp_path: Path) -> None:
    made = make_fake_run(tmp_path, groups={'odd "name"; --': ("it's", 'a"b')}, pairs=True)
    build_view(AuditInput(made))
    found = query(made, ExamplesFilter(group=('odd "name"; --', "it's")))
    assert 0 < found.total < 300
    assert query(made, ExamplesFilter(search="is this about neutral?")).total > 0  # the pair is searched too
    assert found.rows[0].pair is not None


def test_without_labels(tmp_path: Path) -> None:
    made = make_fake_run(tmp_path, human_labels=False)
    build_view(AuditInput(made))
    found = counts(made, ExamplesFilter())
    assert (found["regressions"], found["gains"], found["all"]) == (0, 0, 300)
    assert query(made, ExamplesFilter()).rows[0].label is None
    assert view_meta(made).labelled == 0


def test_not_audited_yet(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not audited yet"):
        query(make_fake_run(tmp_path), ExamplesFilter())


def test_a_torn_view(tmp_path: Path) -> None:
    made = make_fake_run(tmp_path)
    path = build_view(AuditInput(made))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(StoreError, match="is damaged"):
        view_meta(made)


def test_imports_no_torch() -> None:
    code = (
        "import sys, auditor.examples_view, auditor.document, auditor.audit, auditor.prices, auditor.expectations;"
        "from auditor.check import CHECKS; CHECKS.names();"
        "print([m for m in ('torch', 'evaluate', 'datasets', 'sklearn', 'scipy.stats', 'statsmodels') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
