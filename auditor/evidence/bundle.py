"""One zip that an auditor can verify on her own: the report, everything its figures rest on, the chain and the signature.

    manifest.json    the signed statement: run, chain head, digest of every file but itself, signature.json and texts.jsonl
    signature.json   Ed25519 over manifest.json
    chain.jsonl      the evidence chain
    texts.jsonl      row id, text, second text and salt of each row; left out with ``texts=False``. Named in the chain by keyed digests
                     only, so that a row can be erased; its lines are checked against those
    answers.jsonl    of a language model: the answers that students learn from, likewise
    run/…            the run's files without texts: spec, cards, labels, predictions, timings, decisions, prices, audit; and the run's own
                     manifest, whose digest stands in the chain and which names the models by their digests
    report.…         the report in the formats that were asked for

The zip is deterministic: the same content gives the same bytes, so a verifier makes it again and compares. Where another tool packed the same
files again, they are verified all the same, and it is said: the signature is over the files, not over the zip.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from auditor.check import NOBODYS
from auditor.evidence.chain import canonical, dump_chain
from auditor.evidence.keyed import keyed_digest
from auditor.evidence.log import entries
from auditor.evidence.seal import head_statement, salts_of, source_rows
from auditor.evidence.signing import load_key, sign
from distill.db import open_database
from distill.errors import ReportError
from distill.provenance import made_by
from distill.store import Run
from distill.types import Examples, read_frame
from distill.workspace import Workspace

VERSION = 1
MANIFEST, SIGNATURE, CHAIN, TEXTS = "manifest.json", "signature.json", "chain.jsonl", "texts.jsonl"
ANSWERS = "answers.jsonl"
OWN_PROOF = (MANIFEST, SIGNATURE, TEXTS, ANSWERS)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_EXPANDED = 200  # times the zip's own size that its files may come to: more is a bomb
_UNREADABLE = (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, RuntimeError, OSError, zlib.error, lzma.LZMAError)  # fmt: skip
# everything that figures rest on; models are named by their digests and stay at home
FILES = (
    "spec.yaml",
    "data.json",
    "teacher.json",
    "provenance.json",
    "resources.json",
    "prices.json",
    "erased.json",
    "audit.json",
    "manifest.json",
    "seal.json",
    "timings.parquet",
    "decisions.parquet",
    "votes.parquet",
    "stages/*.json",
    "arms/*/*/arm.json",
    "arms/*/skipped.json",
    "predictions/*/*.parquet",
)
WITH_TEXT = ("examples.parquet", "labels.parquet", "items.parquet", "unanswered.parquet")


@dataclass(frozen=True)
class Bundle:
    """The members of a bundle by name; ``repacked`` says that they came in a zip of another tool."""

    members: Mapping[str, bytes] = field(repr=False)
    repacked: bool = False

    def to_bytes(self) -> bytes:
        """The zip; the same members give the same bytes. Stored, not deflated: zlib's versions differ in their output."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(self.members):
                info = zipfile.ZipInfo(name, _EPOCH)
                info.create_system, info.external_attr = 3, 0o644 << 16
                archive.writestr(info, self.members[name])
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "The file") -> Bundle:
        """Read a zip that :meth:`to_bytes` made, or one that another tool made of the same files.

        Raises:
            ReportError: not a zip, an unsafe or doubled name, or a zip of ours with bytes that :meth:`to_bytes` would not write.
        """
        again = "Ask for the file again."
        damaged = ReportError(f"{where} is not an intact Heirloom bundle.", hint=again)
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                infos = archive.infolist()
                names = [info.filename for info in infos]
                if len(set(names)) != len(names) or any(unsafe(name) for name in names):
                    raise damaged
                if sum(info.file_size for info in infos) > _EXPANDED * len(data):
                    raise damaged
                # other tools list folders too
                members = {info.filename: archive.read(info) for info in infos if not (info.is_dir() and not info.file_size)}  # fmt: skip
        except _UNREADABLE as error:
            raise damaged from error
        bundle = cls(members)
        if (whole := bundle.to_bytes()) == data:
            return bundle
        if any(_ours(info) for info in infos):
            place = next((i for i, (a, b) in enumerate(zip(data, whole, strict=False)) if a != b), min(len(data), len(whole)))  # fmt: skip
            raise ReportError(
                f"{where} is a Heirloom bundle whose container was changed, first at byte {place:,}: its {len(members)} files can be read.",
                hint=again,
            )
        return cls(members, repacked=True)


def _ours(info: zipfile.ZipInfo) -> bool:
    """Whether a member has the head that :meth:`Bundle.to_bytes` writes. Another tool leaves none such (its own times, rights or compression);
    a flipped byte leaves all but one."""
    head = (info.date_time, info.compress_type, info.create_system, info.external_attr, info.extra)
    return head == (_EPOCH, zipfile.ZIP_STORED, 3, 0o644 << 16, b"")


def unsafe(name: str) -> bool:
    """True for a member's name that could leave the folder it is unpacked into."""
    path = Path(name)
    return path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not name.strip()


def make_bundle(
    workspace: Workspace, run: Run, reports: Mapping[str, bytes], texts: bool = True, *, drawn: str = ""
) -> Bundle:
    """Collect a finished, sealed run.

    Args:
        workspace: holds the chain, the salts and the key.
        run: the run.
        reports: rendered reports by name, such as ``report.html``.
        texts: also the texts, so that figures that read them can be recomputed.
        drawn: the moment that the reports name as theirs, so that a verifier can draw them again.

    Raises:
        ReportError: the run is not complete, or nothing was ever logged for it.
    """
    if run.status() != "complete":
        raise ReportError(f"Run {run.id} is not complete.", hint="A bundle can be made when the run has ended.")
    chain = entries(workspace, run.id)
    if not chain:
        raise ReportError(f"Run {run.id} was never sealed.", hint="Audit it again: `heirloom audit RUN`.")
    with open_database(workspace).write() as session:
        salts = salts_of(session, run)
    members = {**reports, **_run_files(run, salts, texts), CHAIN: dump_chain(chain).encode()}
    statement = {
        "bundle": VERSION,
        **head_statement(run.id, chain),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
        "with_texts": texts,
        "drawn": drawn,
        "made_by": made_by(),
    }
    members[MANIFEST] = canonical(statement)
    members[SIGNATURE] = canonical(sign(statement, load_key(workspace.root / "keys")).model_dump())
    if texts:
        members[TEXTS] = dump_texts(run.examples, salts)
        if any("answers" in entry.payload and "audit" in entry.payload for entry in chain):
            members[ANSWERS] = dump_answers(read_frame(run.folder / "labels.parquet"), salts)
    return Bundle(members)


def dump_texts(examples: Examples, salts: Mapping[str, str]) -> bytes:
    """texts.jsonl: one canonical line a row that still has its salt."""
    frame = examples.frame
    lines = []
    for row_id, text, pair in zip(frame["row_id"], frame["text"], frame["pair"], strict=True):
        if row_id in salts:
            second = pair if isinstance(pair, str) else None
            lines.append(canonical({"row_id": str(row_id), "text": clean(text), "pair": second, "salt": salts[row_id]}))
    return b"".join(line + b"\n" for line in lines)


def dump_answers(labels: pd.DataFrame, salts: Mapping[str, str]) -> bytes:
    """answers.jsonl: one canonical line an answer whose prompt still has its salt."""
    lines = []
    rows = zip(labels["row_id"], source_rows(labels), labels["answer"], labels["teacher_answer"], strict=True)
    for row_id, source, answer, teacher in rows:
        if source in salts:
            told = {"row_id": str(row_id), "answer": clean(answer), "teacher_answer": clean(teacher)}
            lines.append(canonical({**told, "salt": salts[source]}))
    return b"".join(line + b"\n" for line in lines)


def clean(text: str) -> str:
    """``text`` with lone surrogates replaced: JSON files cannot hold them."""
    return text.encode("utf-8", "replace").decode()


def load_texts(data: bytes) -> pd.DataFrame:
    """Rows of texts.jsonl; raises ReportError where a line is not canonical."""
    return _load_lines(data, TEXTS, ["row_id", "text", "pair", "salt"])


def load_answers(data: bytes) -> pd.DataFrame:
    """Rows of answers.jsonl; raises ReportError where a line is not canonical."""
    return _load_lines(data, ANSWERS, ["row_id", "answer", "teacher_answer", "salt"])


def _load_lines(data: bytes, name: str, columns: list[str]) -> pd.DataFrame:
    lines = data.split(b"\n")
    if lines.pop() != b"":
        raise ReportError(f"{name} is cut off.", hint="Ask for the file again.")
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            intact = canonical(row) == line and set(row) == set(columns)
        except ValueError:
            intact = False
        if not intact:
            raise ReportError(f"{name}: line {number} is damaged.", hint="Ask for the file again.")
        rows.append(row)
    return pd.DataFrame(rows, columns=columns)


def _run_files(run: Run, salts: Mapping[str, str], texts: bool) -> dict[str, bytes]:
    """The run's files by their name in the bundle; texts blanked, and named by keyed digests. What language models answered to users'
    prompts goes along with the texts only: it quotes them."""
    found = sorted({path for pattern in FILES for path in run.folder.glob(pattern) if path.is_file()})
    members = {f"run/{path.relative_to(run.folder).as_posix()}": path.read_bytes() for path in found}
    for name in WITH_TEXT:
        path = run.folder / name
        if path.exists():
            members[f"run/{name}"] = _without_texts(path, salts)
    if not texts:
        for path in answered(run):
            members[f"run/{path.relative_to(run.folder).as_posix()}"] = _without_answers(path)
    return members


def answered(run: Run) -> list[Path]:
    """The prediction files that hold answers to users' prompts (not those to the checks' own sentences)."""
    paths = [path for path in run.folder.glob("predictions/*/*.parquet") if not path.name.endswith(".items.parquet")]
    return sorted(path for path in paths if "answer" in pq.read_schema(path).names)


def blanked_answers(frame: pd.DataFrame, hit: pd.Series | None = None) -> pd.DataFrame:
    """``frame`` without the words of its answers, in the rows of ``hit`` or in all."""
    here = pd.Series(True, index=frame.index) if hit is None else hit
    for column in ("answer", "token_text", "answer_ids"):
        if column in frame.columns:
            blank: object = "" if column == "answer" else ()
            kept = [blank if gone else value for value, gone in zip(frame[column], here, strict=True)]
            frame[column] = pd.Series(kept, index=frame.index, dtype=object)
    return frame


def _without_answers(path: Path) -> bytes:
    buffer = io.BytesIO()
    table = pa.Table.from_pandas(blanked_answers(read_frame(path)), preserve_index=False)
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _without_texts(path: Path, salts: Mapping[str, str]) -> bytes:
    """A Parquet file with its users' texts blanked; our own template sentences stay, since they are nobody's data."""
    frame = read_frame(path)
    mine = ~frame["check"].isin(NOBODYS) if "check" in frame.columns else pd.Series(True, index=frame.index)
    if "content_id" in frame.columns:
        # a plain digest of a short text can be guessed, so it is replaced by a keyed one
        frame["content_id"] = [
            keyed_digest(content, salts[row]) if row in salts else ""
            for row, content in zip(frame["row_id"], frame["content_id"], strict=True)
        ]
    for column, blank in (("text", ""), ("pair", None), ("raw_answer", ""), ("answer", ""), ("teacher_answer", "")):
        if column in frame.columns:
            frame.loc[mine, column] = blank
    table = pa.Table.from_pandas(frame, preserve_index=False)
    metadata = {**(table.schema.metadata or {}), **(pq.read_schema(path).metadata or {})}
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), buffer, compression="zstd")
    return buffer.getvalue()
