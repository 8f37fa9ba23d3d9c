"""The audit as a whole: from files alone, again and again, and on degenerate runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from auditor.audit import audit_run, load_report, plain, run_check
from auditor.check import AuditInput, checks_of
from auditor.types import CheckResult
from distill.errors import Cancelled, DataError, SpecError, StoreError
from distill.files import read_json
from distill.plugins import NoOptions
from distill.registry import Entry
from distill.store import Run
from tests.auditor.checks.helpers import overwrite
from tests.fakes import make_fake_run


def test_every_check_has_a_result_and_the_report_reads_back(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path)
    report = audit_run(run)
    assert {result.name for result in report.results} == {
        *(entry.name for entry in checks_of("classification")),
        "gates",
    }
    assert load_report(Run(run.folder)) == report.model_validate(plain(report.model_dump()))
    assert all(result.skipped is None or result.skipped for result in report.results)


@pytest.mark.slow
def test_auditing_again_needs_files_only_and_says_the_same(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, audit=True)
    before = read_json(run.folder / "audit.json")
    shutil.rmtree(run.folder / "arms" / "distilled" / "1" / "model")
    after = audit_run(Run(run.folder))
    assert plain(after.model_dump(exclude={"made_at"})) == {k: v for k, v in before.items() if k != "made_at"}
    manifest = read_json(run.folder / "manifest.json")["files"]
    assert "audit.json" in manifest and "examples_view.parquet" in manifest


def test_progress_names_each_check(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    audit_run(make_fake_run(tmp_path), progress=lambda *step: seen.append(step))
    assert [name for _, _, name in seen] == [entry.name for entry in checks_of("classification")]
    assert [done for done, _, _ in seen] == list(range(len(seen)))


def test_a_cancel_in_progress_stops_it_and_writes_nothing(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path)

    def stop(*_: object) -> None:
        raise Cancelled("The run was cancelled.")

    with pytest.raises(Cancelled):
        audit_run(run, progress=stop)
    assert not (run.folder / "audit.json").exists()


def test_left_out_by_the_spec(tmp_path: Path) -> None:
    report = audit_run(make_fake_run(tmp_path, spec={"audit": {"skip": ["cost"]}}))
    result = report.result("cost")
    assert result is not None and result.skipped == "the spec leaves it out"


def test_nothing_to_audit_yet(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no predictions yet"):
        audit_run(make_fake_run(tmp_path, status="interrupted"))


def test_an_unknown_check_or_option_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="Did you mean 'quality'"):
        audit_run(make_fake_run(tmp_path, spec={"audit": {"skip": ["qualty"]}}))
    spec = {"audit": {"checks": {"calibration": {"bin": 3}}}}
    with pytest.raises(SpecError, match="bins"):
        audit_run(make_fake_run(tmp_path, run_id="other", spec=spec))


def test_a_mendable_error_is_a_reason_and_a_bug_is_raised(tmp_path: Path) -> None:
    audit = AuditInput(make_fake_run(tmp_path))

    def mendable(_: AuditInput, __: NoOptions) -> CheckResult:
        raise DataError("A row is wrong.", hint="Mend it.")

    def bug(_: AuditInput, __: NoOptions) -> CheckResult:
        raise ZeroDivisionError

    assert run_check(audit, Entry("mendable", mendable, NoOptions, "")).skipped == "A row is wrong. Mend it."
    with pytest.raises(ZeroDivisionError):
        run_check(audit, Entry("bug", bug, NoOptions, ""))


def test_the_candidate_has_nan(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path, seeds=(1,))
    overwrite(run, "distilled", 1, np.full((300, 3), np.nan))
    report = audit_run(run)
    assert report.verdict.answer == "cannot tell"
    assert "'distilled' has no 'accuracy_difference'" in report.gates[0].reason


@pytest.mark.parametrize("labels", [("no", "yes"), tuple(f"topic{i}" for i in range(12))])
def test_other_numbers_of_classes(tmp_path: Path, labels: tuple[str, ...]) -> None:
    report = audit_run(make_fake_run(tmp_path, labels=labels, pairs=True, groups={}))
    assert report.measure("accuracy", "distilled") is not None


def test_a_single_test_row(tmp_path: Path) -> None:
    report = audit_run(make_fake_run(tmp_path, n_test=1, seeds=(1,)))
    assert report.verdict.answer == "cannot tell"


def test_plain_has_no_nan_and_no_numpy() -> None:
    assert plain({"a": np.float64("nan"), "b": (np.int64(3), [float("inf")]), "c": np.array([1.5])}) == {
        "a": None,
        "b": [3, [None]],
        "c": [1.5],
    }
