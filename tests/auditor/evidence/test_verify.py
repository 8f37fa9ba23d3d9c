"""A sealed run verifies, anywhere; whatever is changed afterwards is named."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pytest

from auditor.audit import audit_run
from auditor.evidence.bundle import Bundle, make_bundle, unsafe
from auditor.evidence.erase import erase
from auditor.evidence.log import entries, record
from auditor.evidence.recompute import _same_claim
from auditor.evidence.seal import SEAL, seal, sign_head
from auditor.evidence.signing import fingerprint, load_key, public_key_of
from auditor.evidence.signoff import sign_off, state_of
from auditor.evidence.verify import Verification, verify_bundle, verify_run
from auditor.report.content import build
from auditor.report.render import FORMATS
from auditor.review import desk
from auditor.review.plan import Wishes
from auditor.review.rounds import begin
from distill.errors import DataError, ReportError
from distill.files import file_digest, read_json, write_json
from distill.store import Run
from distill.types import Examples
from distill.workspace import Workspace
from tests.fakes import make_fake_run

QUICK = {"audit": {"resamples": 200, "skip": ["gender_bias", "languages"]}}


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Run]:
    root = tmp_path_factory.mktemp("sealed")
    run = make_fake_run(root, n_test=60, n_dev=40, n_pool=50, seeds=(1,), arms=("distilled",), audit=True, spec=QUICK)
    workspace = Workspace(root).made()
    seal(workspace, run)
    return workspace, run


@pytest.fixture(scope="module")
def bundle(sealed: tuple[Workspace, Run]) -> Bundle:
    return make_bundle(*sealed, reports={"report.md": b"# Report\n"})


@pytest.fixture
def fresh(tmp_path: Path) -> tuple[Workspace, Run]:
    run = make_fake_run(
        tmp_path, n_test=60, n_dev=40, n_pool=50, seeds=(1,), arms=("distilled",), audit=True, spec=QUICK
    )
    workspace = Workspace(tmp_path).made()
    seal(workspace, run)
    return workspace, run


def failed(found: Verification) -> list[str]:
    return [line.what for line in found.lines if line.state == "failed"]


def test_a_bundle_verifies_without_its_workspace(bundle: Bundle) -> None:
    found = verify_bundle(bundle.to_bytes())
    assert failed(found) == []
    figures = next(line for line in found.lines if line.what == "figures")
    assert "All" in figures.sentence and figures.state == "ok"


def test_the_key_is_pinned_from_outside(sealed: tuple[Workspace, Run], bundle: Bundle) -> None:
    mine = fingerprint(public_key_of(load_key(sealed[0].root / "keys")))
    assert verify_bundle(bundle.to_bytes(), key=mine).ok
    assert failed(verify_bundle(bundle.to_bytes(), key="0000-" + mine[5:])) == ["signature"]


def flipped(bundle: Bundle, name: str, position: int) -> bool:
    """Whether a bundle with one bit of one byte of one file turned over still verifies."""
    data = bundle.members[name]
    torn = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
    return verify_bundle(Bundle({**bundle.members, name: torn}).to_bytes()).ok


def test_a_flipped_byte_in_any_file_is_found(bundle: Bundle) -> None:
    assert {"chain.jsonl", "texts.jsonl", "run/manifest.json", "run/seal.json", "signature.json"} <= set(bundle.members)
    for name, data in bundle.members.items():
        for position in {0, len(data) // 2, len(data) - 1}:
            assert not flipped(bundle, name, position), (name, position)


@pytest.mark.slow
def test_every_byte_of_what_proves_itself_and_twenty_of_each_other_file(bundle: Bundle) -> None:
    for name, data in bundle.members.items():
        step = 1 if name == "signature.json" else max(1, len(data) // 20)
        for position in range(0, len(data), step):
            assert not flipped(bundle, name, position), (name, position)


def test_a_flipped_byte_of_the_zip_itself_is_found(bundle: Bundle) -> None:
    data = bundle.to_bytes()
    for position in range(0, len(data), max(1, len(data) // 300)):
        torn = data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :]
        assert not verify_bundle(torn).ok, position


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_the_same_files_packed_again_verify_and_it_is_said(bundle: Bundle, method: int) -> None:
    found = verify_bundle(packed(bundle.members, method))
    assert failed(found) == [] and found.ok
    line = next(line for line in found.lines if line.what == "container")
    assert line.state == "not checked" and f"its {len(bundle.members)} files" in line.sentence
    assert all(line.what != "container" for line in verify_bundle(bundle.to_bytes()).lines)
    changed = {**bundle.members, "report.md": b"# Another\n"}
    assert failed(verify_bundle(packed(changed, method))) == ["files"]


def packed(members: Mapping[str, bytes], method: int) -> bytes:
    """A zip as other tools make it: the time of today, folders, any compression."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.mkdir("run")
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_changed_container_is_told_from_changed_files_and_a_bomb_is_refused(bundle: Bundle) -> None:
    data = bundle.to_bytes()
    torn = data[:10] + bytes([data[10] ^ 1]) + data[11:]  # the time of the first file
    (line,) = verify_bundle(torn).lines
    assert "container was changed, first at byte 10" in line.sentence
    (line,) = verify_bundle(packed({"manifest.json": bytes(10**7)}, zipfile.ZIP_DEFLATED)).lines
    assert "not an intact" in line.sentence
    (line,) = verify_bundle(packed({"else.txt": b"x"}, zipfile.ZIP_DEFLATED)).lines
    assert "manifest.json is missing" in line.sentence


def test_a_missing_and_an_added_file_are_found(bundle: Bundle) -> None:
    without = {name: data for name, data in bundle.members.items() if name != "run/timings.parquet"}
    assert "files" in failed(verify_bundle(Bundle(without).to_bytes()))
    assert "files" in failed(verify_bundle(Bundle({**bundle.members, "run/extra.json": b"{}"}).to_bytes()))


def test_a_figure_that_does_not_follow_from_the_files_is_named_even_if_everything_is_signed(
    fresh: tuple[Workspace, Run],
) -> None:
    workspace, run = fresh
    audit = read_json(run.folder / "audit.json")
    for result in audit["results"]:
        for measure in result["measures"]:
            if (measure["name"], measure["arm"]) == ("accuracy", "distilled") and measure["seed"] is None:
                measure["value"] += 0.05
    write_json(run.folder / "audit.json", audit)
    run.write_manifest()
    seal(workspace, run, action="audit")
    found = verify_bundle(make_bundle(workspace, run, {}).to_bytes())
    assert failed(found) == ["figures"]
    assert "accuracy of distilled" in next(line.sentence for line in found.lines if line.what == "figures")


def test_a_run_verifies_in_its_workspace_and_a_changed_file_is_named(fresh: tuple[Workspace, Run]) -> None:
    workspace, run = fresh
    assert failed(verify_run(workspace, run)) == []
    before = (run.folder / "audit.json").read_bytes()
    path = run.prediction_path("distilled", 1, "test")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    found = verify_run(workspace, run)
    assert failed(found) == ["files"]
    assert "predictions/distilled/1.test.parquet" in found.lines[0].sentence
    assert (run.folder / "audit.json").read_bytes() == before


def test_an_entry_after_the_seal_is_linked_and_said_to_be_unsigned(fresh: tuple[Workspace, Run]) -> None:
    workspace, run = fresh
    record(workspace, run.id, "Ada", "intended use", {"purpose": "x"})
    found = verify_run(workspace, run)
    assert failed(found) == []
    assert "1 later entries" in next(line.sentence for line in found.lines if line.what == "chain")


def test_without_texts_the_figures_on_texts_are_attested_and_the_rest_is_recomputed(
    fresh: tuple[Workspace, Run],
) -> None:
    bundle = make_bundle(*fresh, reports={}, texts=False)
    text = fresh[1].examples.texts[0].encode()
    assert all(text not in data for data in bundle.members.values())
    found = verify_bundle(bundle.to_bytes())
    assert failed(found) == []
    attested = [line.sentence for line in found.lines if line.state == "attested"]
    assert any("contamination" in sentence for sentence in attested)


def test_an_erased_row_is_gone_and_the_chain_still_verifies(fresh: tuple[Workspace, Run]) -> None:
    workspace, run = fresh
    row, text = str(run.examples.ids[-1]), run.examples.texts[-1]
    erase(workspace, run, row, "Ada", "the person asked")
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    assert all(text.encode() not in path.read_bytes() for path in files)
    assert text not in run.examples.texts
    found = verify_run(workspace, Run(run.folder))
    assert failed(found) == []
    assert any("No longer recomputable, because rows were erased" in line.sentence for line in found.lines)
    assert "1 row was erased since" in next(line.sentence for line in found.lines if line.what == "texts")
    assert failed(verify_bundle(make_bundle(workspace, Run(run.folder), {}).to_bytes())) == []
    with pytest.raises(DataError, match="erased before"):
        erase(workspace, run, row, "Ada", "again")


def test_after_an_erasure_the_other_texts_are_still_held_against_the_seal(fresh: tuple[Workspace, Run]) -> None:
    workspace, run = fresh
    erase(workspace, run, str(run.examples.ids[-1]), "Ada", "the person asked")
    examples = run.examples
    frame = examples.frame.copy()
    frame.loc[0, "text"] = "something else"
    Examples(frame, examples.labels).write(run.folder / "examples.parquet")
    run.write_manifest()
    record(workspace, run.id, "job", "files", {"manifest": file_digest(run.folder / "manifest.json")})
    sign_head(workspace, run)
    assert failed(verify_run(workspace, Run(run.folder))) == ["texts"]
    assert failed(verify_bundle(make_bundle(workspace, Run(run.folder), {}).to_bytes())) == ["texts"]


def test_a_model_that_was_exchanged_and_named_anew_in_the_manifest_is_found(fresh: tuple[Workspace, Run]) -> None:
    workspace, run = fresh
    model = next(run.folder.glob("arms/*/*/arm.json")).parent / "model" / "model.safetensors"
    model.parent.mkdir(exist_ok=True)
    model.write_bytes(b"another student")
    run.write_manifest()
    found = verify_run(workspace, run)
    assert failed(found) == ["files"] and "not the one that was sealed" in found.lines[0].sentence
    assert failed(verify_bundle(make_bundle(workspace, run, {}).to_bytes())) == ["manifest"]


def test_a_damaged_key_beside_a_run_is_a_line_and_no_traceback(fresh: tuple[Workspace, Run]) -> None:
    workspace, run = fresh
    seal_of = read_json(run.folder / SEAL)
    for damaged in ({**seal_of["signature"], "public_key": "zz"}, None, "nothing"):
        write_json(run.folder / SEAL, {**seal_of, "signature": damaged})
        found = verify_run(workspace, run)
        assert not found.ok and "holds no signature and key" in found.lines[0].sentence


@pytest.mark.slow
def test_a_report_that_was_written_over_and_signed_is_named(
    fresh: tuple[Workspace, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, run = fresh
    for where in ("bundle", "redraw"):
        monkeypatch.setattr(f"auditor.evidence.{where}.made_by", lambda: "heirloom 9")
    content = build(workspace, run)
    reports = {each.file: each.draw(content) for each in FORMATS.values() if each.draw is not None}
    whole = verify_bundle(make_bundle(workspace, run, reports, drawn=content.made_at).to_bytes())
    assert failed(whole) == []
    assert "All 6 reports were drawn again" in next(line.sentence for line in whole.lines if line.what == "reports")
    bare = verify_bundle(make_bundle(workspace, run, reports, texts=False, drawn=content.made_at).to_bytes())
    assert "All 6 reports were drawn again" in next(line.sentence for line in bare.lines if line.what == "reports")
    for name in reports:
        forged = {**reports, name: reports[name].replace(b"e", b"3", 1)}
        found = verify_bundle(make_bundle(workspace, run, forged, drawn=content.made_at).to_bytes())
        assert failed(found) == ["reports"]
        assert name in next(line.sentence for line in found.lines if line.what == "reports")


def test_a_figure_or_a_finding_that_was_left_out_is_named(
    fresh: tuple[Workspace, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, run = fresh
    for where in ("audit", "evidence.recompute"):
        monkeypatch.setattr(f"auditor.{where}.made_by", lambda: "heirloom 9")
    audit_run(run)
    audit = read_json(run.folder / "audit.json")
    result = next(r for r in audit["results"] if r["name"] == "quality")
    result["measures"] = [m for m in result["measures"] if m["name"] != "accuracy_difference"]
    whole = result["findings"]
    assert whole
    for findings, said in (
        ([{**f, "claim": "All is well."} for f in whole], "do not follow from the figures"),
        (whole[1:], "1 findings were left out"),
    ):
        result["findings"] = findings
        write_json(run.folder / "audit.json", audit)
        run.write_manifest()
        seal(workspace, run, action="audit")
        found = verify_run(workspace, run)
        assert {"figures", "findings"} <= set(failed(found))
        assert said in next(line.sentence for line in found.lines if line.what == "findings")


def test_a_claim_may_differ_in_the_last_digit_of_a_number_and_in_nothing_else() -> None:
    assert _same_claim("keeps 98.5 % [97.5, 99.6] of 4,000", "keeps 98.6 % [97.5, 99.6] of 4,000")
    assert not _same_claim("keeps 98.5 %", "keeps 98.7 %")
    assert not _same_claim("of 4,000 texts", "of 4,001 texts")
    assert not _same_claim("keeps 98.5 %", "loses 98.5 %")


def test_names_that_would_leave_the_folder_are_refused(tmp_path: Path) -> None:
    assert all(unsafe(name) for name in ("/etc/passwd", "../x", "a/../../x", "C:x", "a\\b", " "))
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../evil", "x")
    assert not verify_bundle((tmp_path / "evil.zip").read_bytes()).ok
    assert not verify_bundle(b"not a zip").ok


def test_sign_off_goes_by_steps_and_a_reviewer_cannot_approve(fresh: tuple[Workspace, Run]) -> None:
    workspace, run = fresh
    begin(workspace, run, Wishes(fraction=0.1, double_share=0), "Pat")
    card = desk.next_card(workspace, run.id, "Ben")
    assert card is not None
    desk.decide(workspace, run.id, card.item_id, "Ben", desk.Answer("label", 0), classes=3)
    with pytest.raises(ReportError, match="next step"):
        sign_off(workspace, run, "approved", "Ada", "looks right")
    assert sign_off(workspace, run, "reviewed", "Ben", "checked 1,500 labels").state == "reviewed"
    for same in ("ben", "Ben (self-declared)", " BEN  (self-declared) ", "Ｂｅｎ"):
        with pytest.raises(ReportError, match="cannot approve"):
            sign_off(workspace, run, "approved", same, "looks right")
    with pytest.raises(ReportError, match="name and a reason"):
        sign_off(workspace, run, "approved", "Ada", " ")
    assert sign_off(workspace, run, "approved", "Ada", "looks right").state == "approved"
    assert failed(verify_run(workspace, run)) == []
    audit_run(run)
    seal(workspace, run, action="audit")
    now = state_of(entries(workspace, run.id))
    assert (now.state, now.reopened) == ("draft", True)


def test_who_signed_as_reviewed_cannot_approve_even_without_a_decision(fresh: tuple[Workspace, Run]) -> None:
    workspace, run = fresh
    sign_off(workspace, run, "reviewed", "Cleo (self-declared)", "read it")
    with pytest.raises(ReportError, match="signed this report as reviewed"):
        sign_off(workspace, run, "approved", "cleo", "fine")
    assert sign_off(workspace, run, "refused", "cleo", "the test is too small").state == "refused"
    record(workspace, run.id, "Ada", "intended use", {"purpose": "x"})
    assert state_of(entries(workspace, run.id)).reopened
