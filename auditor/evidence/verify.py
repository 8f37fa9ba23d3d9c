"""Does a bundle, or a run in its workspace, say what was signed, and do its figures follow from its files?

Every check names what differs. Nothing here trusts a figure of the report: all are computed again from predictions, stored timings and
decisions. What cannot be (energy, peak memory: attested; figures on texts that are not here or were erased) is said, by name.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from auditor.evidence.anchor import Anchor, held_against
from auditor.evidence.bundle import (
    ANSWERS,
    CHAIN,
    MANIFEST,
    OWN_PROOF,
    SIGNATURE,
    TEXTS,
    WITH_TEXT,
    Bundle,
    answered,
    load_answers,
    load_texts,
)
from auditor.evidence.chain import Entry, canonical, load_chain, verify_chain
from auditor.evidence.erase import unfinished
from auditor.evidence.log import entries
from auditor.evidence.merkle import merkle_root
from auditor.evidence.recompute import ATTESTED, Line, erased_rows, recompute
from auditor.evidence.redraw import redraw
from auditor.evidence.seal import (
    LABEL_FIELDS,
    SEAL,
    answer_leaves,
    answers_root,
    erased_leaves,
    head_statement,
    labels_root,
    salts_of,
    text_leaves,
)
from auditor.evidence.signing import Signature, fingerprint, read_signature
from auditor.evidence.signing import verify as signature_holds
from distill.db import open_database
from distill.errors import HeirloomError, ReportError
from distill.files import file_digest, read_json
from distill.store import Run
from distill.types import Examples, read_frame
from distill.workspace import Workspace

_UNTOUCHED = Line("figures", "not checked", "Figures are not computed from files that are not the signed ones.")


__all__ = ["ATTESTED", "Line", "Verification", "recompute", "verify_bundle", "verify_run"]


@dataclass(frozen=True)
class Verification:
    """All lines, and the fingerprint of the key that signed."""

    lines: tuple[Line, ...]
    fingerprint: str

    @property
    def ok(self) -> bool:
        """True when nothing failed."""
        return all(line.state != "failed" for line in self.lines)


def verify_bundle(
    data: bytes, key: str | None = None, where: str = "The file", anchor: Anchor | None = None
) -> Verification:
    """Verify a bundle without any workspace.

    Args:
        data: the zip.
        key: fingerprint of the signing key, known from elsewhere. A key inside a bundle proves only that it agrees with itself.
        where: the file's name, for sentences.
        anchor: a head of this run's chain that was deposited elsewhere.
    """
    try:
        bundle = Bundle.from_bytes(data, where)
        manifest = _canonical_object(bundle, MANIFEST)
        signature = read_signature(_canonical_object(bundle, SIGNATURE), SIGNATURE)
    except (ReportError, ValueError) as error:
        return Verification((Line("file", "failed", str(error)),), "")
    lines = [_files(bundle, manifest), *_container(bundle), _signed(manifest, signature, key)]
    try:
        chain = load_chain(bundle.members.get(CHAIN, b"").decode())
    except (ValueError, UnicodeDecodeError) as error:
        lines.append(Line("chain", "failed", f"The evidence chain is damaged: {error}."))
        return Verification(tuple(lines), signature.fingerprint)
    lines.append(_chain(chain, manifest))
    lines += [held_against(chain, anchor)] if anchor else []
    if any(line.state == "failed" for line in lines):
        return Verification((*lines, _UNTOUCHED), signature.fingerprint)
    with tempfile.TemporaryDirectory(prefix="heirloom-verify-") as folder:
        try:
            run = _unpack(bundle, Path(folder), str(manifest.get("run", "")))
            lines += [_manifest(bundle, manifest, chain, run), _texts(bundle, manifest, chain, run)]
            lines += [_labels(chain, run), _audit_sealed(chain, run), *_answers(bundle, manifest, chain, run)]
            lines += _said_by_people(chain, run)
            if any(line.state == "failed" for line in lines):
                return Verification((*lines, _UNTOUCHED), signature.fingerprint)
            lines += redraw(bundle, manifest, chain, run, signature.public_key)
            lines += recompute(run)
        except HeirloomError as error:
            lines.append(Line("figures", "failed", str(error)))
    return Verification(tuple(lines), signature.fingerprint)


def verify_run(workspace: Workspace, run: Run, key: str | None = None, anchor: Anchor | None = None) -> Verification:
    """Verify a finished run in its workspace: files, chain, signature, labels and every figure."""
    chain = entries(workspace, run.id)
    if not chain or not (run.folder / SEAL).exists():
        sentence = f"Run {run.id} was never sealed. Audit it again: `heirloom audit RUN`."
        return Verification((Line("seal", "failed", sentence),), "")
    seal = read_json(run.folder / SEAL)
    try:
        signature = read_signature(seal.get("signature"), SEAL)
    except ReportError as error:
        return Verification((Line("seal", "failed", str(error)),), "")
    statement = dict(seal.get("statement") or {})
    lines = [_run_files(run, chain), _signed(statement, signature, key), _grown_chain(chain, statement)]
    lines += [
        Line("erasure", "failed", f"The erasure of row {row} was stopped half-way. Finish it: `heirloom erase` again.")
        for row in unfinished(run, chain)
    ]
    lines += [held_against(chain, anchor)] if anchor else []
    if any(line.state == "failed" for line in lines):
        return Verification((*lines, _UNTOUCHED), signature.fingerprint)
    lines += [_labels(chain, run), _audit_sealed(chain, run)]
    with open_database(workspace).write() as session:
        salts = salts_of(session, run)
    root = merkle_root(text_leaves(run.examples.frame, salts, erased_leaves(run, "texts", chain)))
    written = answers_root(run, salts, chain)
    lines.append(_texts_line(root, chain, run))
    lines += [_sealed_words("answers", written, chain, run)] if "answers" in _last_seal(chain) else []
    lines += [*_said_by_people(chain, run), *_words_of_people(workspace, run, chain)]
    if any(line.state == "failed" for line in lines):
        return Verification((*lines, _UNTOUCHED), signature.fingerprint)
    with tempfile.TemporaryDirectory(prefix="heirloom-verify-") as folder:
        copy = Run(Path(folder) / "runs" / run.id)
        copy.folder.parent.mkdir(parents=True)
        _link_tree(run.folder, copy.folder)
        lines += recompute(copy)
    return Verification(tuple(lines), signature.fingerprint)


def _canonical_object(bundle: Bundle, name: str) -> dict[str, Any]:
    data = bundle.members.get(name, b"")
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict) or canonical(value) != data:
        raise ReportError(f"{name} is missing or damaged.", hint="Ask for the file again.")
    return value


def _files(bundle: Bundle, manifest: Mapping[str, Any]) -> Line:
    named = dict(manifest.get("files", {}))
    there = {name: hashlib.sha256(data).hexdigest() for name, data in bundle.members.items() if name not in OWN_PROOF}
    wrong = sorted(name for name in named.keys() | there.keys() if named.get(name) != there.get(name))
    if wrong:
        return Line("files", "failed", f"Changed, missing or added: {', '.join(wrong[:5])}.")
    return Line("files", "ok", f"All {len(named)} files have the digests that were signed.")


def _container(bundle: Bundle) -> list[Line]:
    """What to know of a zip that another tool made: its files are held against the signed digests, the zip around them against nothing."""
    if not bundle.repacked:
        return []
    sentence = (
        f"It was packed again by another tool: its {len(bundle.members)} files are held against what was signed, line by line; the zip around "
        "them is not the one that was made, and says nothing for or against them."
    )
    return [Line("container", "not checked", sentence)]


def _run_files(run: Run, chain: Iterable[Entry]) -> Line:
    """The files against the run's manifest, and the manifest against the chain: else whoever changes a file could name it anew."""
    path = run.folder / "manifest.json"
    if not path.exists():
        return Line("files", "failed", "The run has no manifest: it is not complete.")
    if _sealed_manifest(chain) != file_digest(path):
        return Line("files", "failed", "The run's manifest is not the one that was sealed in the evidence chain.")
    named: dict[str, str] = read_json(path)["files"]
    wrong = [n for n, d in named.items() if not (run.folder / n).exists() or file_digest(run.folder / n) != d]
    if wrong:
        return Line("files", "failed", f"Changed or missing: {', '.join(sorted(wrong)[:5])}.")
    return Line("files", "ok", f"All {len(named)} files have the digests of the manifest, and it is the sealed one.")


def _sealed_manifest(chain: Iterable[Entry]) -> str:
    """Digest of the run's manifest as the chain names it last; empty when it never does."""
    named = [str(entry.payload["manifest"]) for entry in chain if "manifest" in entry.payload]
    return named[-1] if named else ""


def _manifest(bundle: Bundle, signed: Mapping[str, Any], chain: Iterable[Entry], run: Run) -> Line:
    """The run's own manifest in a bundle: the sealed one, and every file that was not blanked is the one that it names."""
    path = run.folder / "manifest.json"
    if not path.exists():
        sentence = "The run's manifest is not in this bundle: it was made before bundles held it."
        return Line("manifest", "not checked", sentence)
    if _sealed_manifest(chain) != file_digest(path):
        return Line("manifest", "failed", "The run's manifest is not the one that was sealed in the evidence chain.")
    named: dict[str, str] = read_json(path)["files"]
    blanked = set(WITH_TEXT)
    if not signed.get("with_texts"):
        blanked |= {each.relative_to(run.folder).as_posix() for each in answered(run)}
    own = {"manifest.json", SEAL}
    held = [name.removeprefix("run/") for name in bundle.members if name.startswith("run/")]
    wrong = [n for n in held if n not in blanked | own and named.get(n) != file_digest(run.folder / n)]
    if wrong:
        return Line("manifest", "failed", f"Not the files that were sealed: {', '.join(sorted(wrong)[:5])}.")
    models = sum(_weights(Path(name)) for name in named)
    return Line(
        "manifest", "ok", f"The run's manifest is the sealed one; it names {models} files of models that stay at home."
    )


def _signed(statement: Mapping[str, Any], signature: Signature, key: str | None) -> Line:
    if not signature_holds(dict(statement), signature):
        return Line("signature", "failed", "The signature does not belong to this statement.")
    mine = fingerprint(signature.public_key)
    if key is None:
        return Line(
            "signature", "ok", f"Signed by key {mine}. Compare it with the one you were given, or pass it with --key."
        )
    if key.replace("-", "").casefold() != mine.replace("-", ""):
        return Line("signature", "failed", f"Signed by key {mine}, not by {key}.")
    return Line("signature", "ok", f"Signed by the key you named, {mine}.")


def _chain(chain: list[Entry], statement: Mapping[str, Any]) -> Line:
    found = verify_chain(chain, str(statement.get("run")))
    if not found.ok:
        return Line("chain", "failed", f"The evidence chain is broken: {found.problems[0]}.")
    if not chain or any(statement.get(k) != v for k, v in head_statement(chain[0].run, chain).items()):
        return Line("chain", "failed", "The evidence chain does not end where the signature says.")
    return Line("chain", "ok", f"{found.entries:,} entries, unbroken, head {found.head[:12]}….")


def _grown_chain(chain: list[Entry], statement: Mapping[str, Any]) -> Line:
    """The chain of a living run: what was signed must be its beginning; later entries are linked, and signed with the next seal."""
    signed = int(statement.get("entries", 0))
    whole = verify_chain(chain, str(statement.get("run")))
    if not whole.ok:
        return Line("chain", "failed", f"The evidence chain is broken: {whole.problems[0]}.")
    line = _chain(chain[:signed], statement)
    if line.state == "ok" and len(chain) > signed:
        later = f"{len(chain) - signed:,} later entries are linked but not signed yet."
        return Line("chain", "ok", f"{line.sentence} {later}")
    return line


def _last_seal(chain: Iterable[Entry]) -> dict[str, Any]:
    """Payload of the last entry that named the run's files."""
    sealed = [entry.payload for entry in chain if "labels" in entry.payload and "audit" in entry.payload]
    return sealed[-1] if sealed else {}


def _labels(chain: list[Entry], run: Run) -> Line:
    sealed = _last_seal(chain)
    expected = sealed.get("labels")
    if expected != labels_root(run, sealed.get("label_fields", LABEL_FIELDS)):
        return Line("labels", "failed", "The synthetic labels are not the ones that were sealed.")
    return Line("labels", "ok", f"The synthetic labels are the sealed ones, root {str(expected)[:12]}….")


def _said_by_people(chain: list[Entry], run: Run) -> list[Line]:
    """Decisions and votes that figures rest on, against their entries in the chain; a file that is missing counts as one without rows."""
    from auditor import votes
    from auditor.review import records

    found = []
    for what, file, check in (
        ("decisions", "decisions.parquet", records.untold),
        ("votes", votes.FILE, votes.problems),
    ):
        path = run.folder / file
        wrong = check(read_frame(path) if path.exists() else pd.DataFrame(), chain)
        if wrong or path.exists():
            said = wrong[0] if wrong else f"every one of the {what} is the one in the chain"
            found.append(Line(what, "failed" if wrong else "ok", f"{said[0].upper()}{said[1:]}."))
    return found


def _words_of_people(workspace: Workspace, run: Run, chain: list[Entry]) -> list[Line]:
    """What reviewers wrote, which lies in the database alone: notes and mended answers against their keyed digests, and every decision
    against its entry. Nothing to say of a run that nobody reviewed."""
    from auditor.review import records

    wrong = records.problems(workspace, run.id)
    if wrong:
        more = f", and {len(wrong) - 1:,} more" if len(wrong) > 1 else ""
        return [Line("review", "failed", f"In the database {wrong[0]}{more}.")]
    made = sum(entry.action in {"decision", "adjudication"} for entry in chain)
    said = f"All {made:,} decisions in the database, with their notes and mended answers, are the ones in the chain."
    return [Line("review", "ok", said)] if made else []


def _audit_sealed(chain: list[Entry], run: Run) -> Line:
    if _last_seal(chain).get("audit") != file_digest(run.folder / "audit.json"):
        return Line("audit", "failed", "The audit is not the one that was sealed.")
    return Line("audit", "ok", "The audit is the sealed one.")


def _texts(bundle: Bundle, manifest: Mapping[str, Any], chain: list[Entry], run: Run) -> Line:
    """The texts against their keyed digests in the chain; puts them into the run's examples when they are there."""
    if not manifest.get("with_texts"):
        if TEXTS in bundle.members:
            return Line("texts", "failed", f"{TEXTS} was added after the signature.")
        return Line("texts", "not checked", "The texts are not in this bundle.")
    frame = load_texts(bundle.members.get(TEXTS, b""))
    if not frame["salt"].str.fullmatch("[0-9a-f]{64}").all():
        return Line("texts", "failed", "A salt is damaged.")
    if frame["row_id"].duplicated().any() or not set(frame["row_id"]) <= set(run.examples.ids):
        return Line("texts", "failed", f"{TEXTS} holds rows that the run does not have, or one twice.")
    _fill_texts(run, frame.set_index("row_id")[["text", "pair"]])
    salts = dict(zip(frame["row_id"], frame["salt"], strict=True))
    leaves = text_leaves(run.examples.frame, salts, erased_leaves(run, "texts", chain))
    return _texts_line(merkle_root(leaves), chain, run)


def _texts_line(root: str, chain: list[Entry], run: Run) -> Line:
    return _sealed_words("texts", root, chain, run)


def _sealed_words(what: str, root: str | None, chain: list[Entry], run: Run) -> Line:
    """Texts, or answers of a language model, against the root of their keyed digests."""
    if root == _last_seal(chain).get(what):
        gone = erased_rows(run)
        erased = f"; {gone:,} row{'s were' if gone > 1 else ' was'} erased since" if gone else ""
        return Line(what, "ok", f"The {what} are the sealed ones, by their keyed digests{erased}.")
    if erased_rows(run) and not run.json("erased").get("leaves"):
        return Line(
            what, "attested", f"Rows were erased after sealing; the root over all {what} is no longer recomputable."
        )
    return Line(what, "failed", f"The {what} are not the ones that were sealed.")


def _answers(bundle: Bundle, manifest: Mapping[str, Any], chain: list[Entry], run: Run) -> list[Line]:
    """What students of a language model learnt from, against its keyed digests in the chain."""
    if "answers" not in _last_seal(chain) and ANSWERS not in bundle.members:
        return []
    if not manifest.get("with_texts") or "answers" not in _last_seal(chain):
        if ANSWERS in bundle.members:
            return [Line("answers", "failed", f"{ANSWERS} was added after the signature.")]
        return [Line("answers", "not checked", "The answers are not in this bundle.")]
    frame = load_answers(bundle.members.get(ANSWERS, b""))
    if not frame["salt"].str.fullmatch("[0-9a-f]{64}").all():
        return [Line("answers", "failed", "A salt is damaged.")]
    salts = dict(zip(frame["row_id"], frame.pop("salt"), strict=True))
    written = read_frame(run.folder / "labels.parquet", ["row_id"]).merge(
        frame, on="row_id", how="left", validate="1:1"
    )
    if written["answer"].notna().sum() != len(frame):
        return [Line("answers", "failed", f"{ANSWERS} holds answers that the run does not have, or one twice.")]
    root = merkle_root(answer_leaves(written, salts, erased_leaves(run, "answers", chain)))
    return [_sealed_words("answers", root, chain, run)]


def _fill_texts(run: Run, texts: Any) -> None:
    examples = run.examples
    frame = examples.frame.copy()
    known = frame["row_id"].isin(texts.index)
    for column in ("text", "pair"):
        frame.loc[known, column] = texts.loc[frame.loc[known, "row_id"], column].to_numpy()
    Examples(frame, examples.labels).write(run.folder / "examples.parquet")


def _unpack(bundle: Bundle, folder: Path, run_id: str) -> Run:
    """The bundle's run in a workspace of its own below ``folder``."""
    if not run_id or "/" in run_id or run_id.startswith("."):
        raise ReportError("The bundle names no run.", hint="Ask for the file again.")
    run = Run(folder / "runs" / run_id)
    for name, data in bundle.members.items():
        if name.startswith("run/"):
            path = run.folder / name.removeprefix("run/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return run


def _link_tree(source: Path, target: Path) -> None:
    """A copy whose files are symbolic links, models left out: recomputing writes its own audit.json and must not touch the run's."""
    own = {Path("manifest.json"), Path(SEAL)}
    for path in source.rglob("*"):
        inside = path.relative_to(source)
        if path.is_file() and inside not in own and not _weights(inside):
            (target / inside).parent.mkdir(parents=True, exist_ok=True)
            (target / inside).symlink_to(path)


def _weights(inside: Path) -> bool:
    """Whether a file, by its path from the run, belongs to a model. The place decides: an arm may be called 'model' or 'checkpoint'."""
    return len(inside.parts) > 4 and inside.parts[0] == "arms" and inside.parts[3] in {"model", "checkpoint"}
