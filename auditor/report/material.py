"""Everything a report is drawn from, read once: the run's files, its audit, and its evidence chain."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from auditor.audit import load_report
from auditor.evidence.chain import Entry, verify_chain
from auditor.evidence.log import entries
from auditor.evidence.recompute import erased_rows
from auditor.evidence.seal import SEAL
from auditor.evidence.signing import fingerprint, load_key, public_key_of
from auditor.evidence.signoff import SignOff, state_of
from auditor.report.charts import arm_names
from auditor.report.stated import AnnexAnswers, IntendedUse, Said, annex_answers, intended_use
from auditor.types import AuditReport, Measure
from distill.spec import LANGUAGE_MODELS, RunSpec, TrainingSpec
from distill.store import TEACHER, ModelCard, Run, Status
from distill.types import read_frame
from distill.workspace import Workspace


@dataclass(frozen=True)
class Material:
    """What is known of one run.

    Attributes:
        sealed: the run's files are named in the chain and its head is signed.
        unsigned: entries of the chain that came after its head was signed last.
        broken: sentences about breaks of the chain; empty when it holds.
        key: fingerprint of the workspace's signing key.
        public_key: that key's public half, hex.
        labels: how many synthetic labels there are, and how many of them people corrected.
    """

    run: Run
    spec: RunSpec
    status: Status
    report: AuditReport | None = field(repr=False)
    chain: tuple[Entry, ...] = field(repr=False)
    sign_off: SignOff
    use: Said[IntendedUse] | None
    annex: Said[AnnexAnswers] | None
    sealed: bool
    unsigned: int
    broken: tuple[str, ...]
    key: str
    public_key: str
    teacher: ModelCard | None
    cards: tuple[ModelCard, ...] = field(repr=False)
    labels: tuple[int, int]

    @property
    def candidate(self) -> str:
        """The arm that the verdict is about."""
        return self.report.verdict.candidate if self.report else self.spec.candidate

    @property
    def head(self) -> str:
        """Digest of the chain's last entry; empty for an empty chain."""
        return self.chain[-1].digest if self.chain else ""

    @cached_property
    def kinds(self) -> dict[str, str]:
        """Kind of the teacher and of each arm, the teacher first, in the order of the spec."""
        return {TEACHER: TEACHER, **{arm.name: arm.kind for arm in self.spec.arms}}

    @cached_property
    def names(self) -> dict[str, str]:
        """Name to show for each arm."""
        return arm_names(list(self.kinds), self.kinds)

    @cached_property
    def data(self) -> dict[str, Any]:
        """What the data stage found; empty before it."""
        return self.run.json("data")

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Code, versions, hardware, seeds, energy; empty before the first stage."""
        return self.run.json("provenance")

    @cached_property
    def erased(self) -> int:
        """How many rows were erased after the audit read them."""
        return erased_rows(self.run)

    @property
    def writes(self) -> bool:
        """True for language models, whose teacher gives answers where a classifier's gives labels."""
        return self.spec.task == LANGUAGE_MODELS

    @property
    def unit(self) -> str:
        """What the teacher gave the student to learn from: 'labels' or 'answers'."""
        return "answers" if self.writes else "labels"

    @property
    def training(self) -> TrainingSpec:
        """How the candidate learnt: its own settings, or else the run's."""
        own = next((arm.training for arm in self.spec.arms if arm.name == self.candidate), None)
        return own or self.spec.training

    @cached_property
    def student(self) -> ModelCard | None:
        """The card of the candidate's first seed."""
        return next((card for card in self.cards if card.name == self.candidate), None)

    def name(self, arm: str) -> str:
        """The name to show for an arm, also for lines that are no arm, such as 'people'."""
        return self.names.get(arm, arm.replace("_", " "))

    def measure(self, name: str, arm: str) -> Measure | None:
        """The measure over all items and seeds, or None."""
        return self.report.measure(name, arm) if self.report else None

    def of_check(self, *checks: str) -> list[Measure]:
        """All measures of these checks."""
        found = [self.report.result(check) for check in checks] if self.report else []
        return [measure for result in found if result for measure in result.measures]

    def skipped(self, check: str) -> str:
        """Why a check was skipped; empty where it was made, and a sentence where there is no audit."""
        if self.report is None:
            return "there is no audit of this run yet"
        result = self.report.result(check)
        return "it is not part of this audit" if result is None else result.skipped or ""


def gather(workspace: Workspace, run: Run) -> Material:
    """Read everything; raises StoreError where a file of the run is damaged."""
    return from_chain(run, tuple(entries(workspace, run.id)), public_key_of(load_key(workspace.root / "keys")))


def from_chain(run: Run, chain: tuple[Entry, ...], public_key: str) -> Material:
    """The same without a workspace: a bundle brings its chain along, and the public key (hex) of who signed it."""
    path = run.folder / "teacher.json"
    return Material(
        run=run,
        spec=run.spec,
        status=run.status(),
        report=load_report(run),
        chain=chain,
        sign_off=state_of(chain),
        use=intended_use(chain),
        annex=annex_answers(chain),
        sealed=bool(chain) and (run.folder / SEAL).exists(),
        unsigned=_unsigned(run, len(chain)),
        broken=verify_chain(chain, run.id).problems,
        key=fingerprint(public_key),
        public_key=public_key,
        teacher=run.teacher if path.exists() else None,
        cards=tuple(run.cards()),
        labels=_labels(run),
    )


def _unsigned(run: Run, entries_: int) -> int:
    statement = run.json(SEAL.removesuffix(".json")).get("statement", {})
    return max(0, entries_ - int(statement.get("entries", entries_)))


def _labels(run: Run) -> tuple[int, int]:
    path = run.folder / "labels.parquet"
    if not path.exists():
        return 0, 0
    frame = read_frame(path, ["corrected"])
    return len(frame), int(frame["corrected"].sum())
