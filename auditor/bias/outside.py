"""A spec that audits two checkpoints which Heirloom did not train, on the counterfactual sentences alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from auditor.bias.items import build_items
from auditor.check import checks_of
from distill.errors import DataError, SpecError, nearest
from distill.files import digest_of
from distill.gender.lexicon import load_lexicon
from distill.spec import (
    ArmSpec,
    AuditSpec,
    Columns,
    DataSpec,
    FileSource,
    GateSpec,
    LatencySpec,
    RunSpec,
    SplitSpec,
    TeacherSpec,
)
from distill.teachers.base import model_labels
from distill.workspace import Workspace

KEPT = ("gender_bias",)


def outside_spec(
    workspace: Workspace,
    model: str,
    teacher: str,
    *,
    labels: Sequence[str] = (),
    positive: str | None = None,
    language: str = "en",
    pairs_per_cell: int = 5,
    margin: float = 0.01,
) -> RunSpec:
    """An audit-only run of ``model`` against ``teacher``. Its test rows are the check's own sentences, so that every sentence is asked once.

    Args:
        model, teacher: directories, or hub ids where ``labels`` are given.
        labels: in the teacher's order; read from its config.json when empty.
        positive: the label that is good for the person concerned. It is never guessed.

    Raises:
        SpecError: no positive class, or one that is no label.
        DataError: no sentences in that language, or no such directory.
    """
    folders = [_place(place) for place in (model, teacher)]
    known = tuple(labels) or _labels(folders[1])
    if positive is None or positive not in known:
        raise SpecError(
            "Bias needs the label that counts as the good outcome, and none was chosen."
            if positive is None
            else f"'{positive}' is not a label of the teacher.",
            hint=f"Add --positive with one of: {', '.join(known)}." if positive is None else nearest(positive, known),
        )
    lexicon = load_lexicon(language)
    texts = build_items(lexicon, pairs_per_cell).texts
    path = workspace.root / "uploads" / f"bias-sentences-{digest_of(list(texts))[:12]}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"text": texts}).to_csv(path, index=False)
    names = [entry.name for entry in checks_of("classification")]
    return RunSpec(
        name=f"Bias of {Path(model).name} against {Path(teacher).name}"[:120],
        data=DataSpec(
            source=FileSource(path=str(path)),
            columns=Columns(text="text"),
            labels=known,
            positive=positive,
            language=language,
            split=SplitSpec(teacher_train=0, pool=0, dev=0, test=len(texts), near_duplicate=1.0),
        ),
        teacher=TeacherSpec(kind="checkpoint", options={"source": folders[1]}),
        arms=(ArmSpec(kind="given", name="student", options={"checkpoint": folders[0]}),),
        seeds=(1,),
        audit=AuditSpec(
            candidate="student",
            gates=(GateSpec(measure="gender_bias_change", at_most=margin),),
            bias_margin=margin,
            latency=LatencySpec(rounds=5, batch_sizes=(1,), texts=8),
            checks={"gender_bias": {"pairs_per_cell": pairs_per_cell}},
            skip=tuple(name for name in names if name not in KEPT),
        ),
    )


def _place(place: str) -> str:
    """An absolute directory, or a hub id as it is."""
    path = Path(place).expanduser()
    if path.is_dir():
        if not (path / "config.json").exists():
            raise DataError(f"{path} holds no config.json, so it is no checkpoint.", hint="Name the model's directory.")
        return str(path.resolve())
    if path.is_absolute() or place.startswith((".", "~")):
        raise DataError(f"There is no directory {path}.", hint="Check the path.")
    return place


def _labels(folder: str) -> tuple[str, ...]:
    if not Path(folder).is_dir():
        raise SpecError(
            f"The labels of '{folder}' are not known before it is loaded.",
            hint="Name them with --labels, in its order.",
        )
    return model_labels(Path(folder))
