"""A base encoder fine-tuned on the labelled rows first; kept by content, so the second run does not pay again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from distill.errors import DataError
from distill.files import digest_of, read_json, write_json
from distill.locks import hold
from distill.plugins import StageContext, Teacher, teacher
from distill.signals import library_versions
from distill.spec import Part, TrainingSpec
from distill.store import TEACHER, ModelCard
from distill.teachers.base import ModelTeacher, generation_of, resolved_precision, teacher_card
from distill.types import Examples


class FineTunedOptions(Part):
    """The base and how it learns. The defaults gave 78.5 % on 3,000 held-out tweets from 12,000 labelled ones."""

    base: str = Field("pack:minilm", description="Base encoder: directory, hub id or 'pack:NAME'.")
    revision: str | None = Field(None, description="Commit, branch or tag of a hub id.")
    epochs: int = Field(2, ge=1, le=50)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(1.5e-4, gt=0, le=1)
    freeze_embeddings: bool = Field(False, description="Keep the word embeddings as they are: faster, a little worse.")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    seed: int = Field(0, ge=0, description="For the fresh head and the order of the rows.")


@teacher("fine_tuned", "A base encoder, fine-tuned on the labelled rows first.", FineTunedOptions)
def fine_tuned(context: StageContext, options: Any) -> Teacher:
    """The fine-tuned teacher: from the cache, or made now (one process at a time; an interrupted training goes on).

    Raises:
        DataError: no labelled rows to train on, or one class only among them.
        ModelError: the base cannot be loaded.
    """
    from distill.engine.loading import checkpoint_facts, resolve

    examples = context.run.examples
    rows = labelled_rows(examples)
    base = resolve(options.base, options.revision).resolve()
    facts = checkpoint_facts(base)
    key = {
        "base": [facts["weights_digest"], facts["tokenizer_digest"]],
        "options": {
            **options.model_dump(mode="json", exclude={"base", "revision"}),
            "precision": resolved_precision(options.precision),
        },
        "labels": list(examples.labels),
        "rows": list(zip(rows.frame["content_id"], rows.y.tolist(), strict=True)),
        "max_tokens": context.spec.signals.max_tokens,
        "versions": library_versions(),
    }
    folder = context.cache / "teachers" / digest_of(key)[:32]
    if not (folder / "card.json").exists():
        with hold(folder.with_suffix(".lock"), context.monitor, "this teacher"):
            if not (folder / "card.json").exists():
                _make(context, options, rows, base, folder)
    elif context.monitor.stage_name == "teacher":
        context.monitor.note("This teacher was fine-tuned by an earlier run; it is used again.")
    card = ModelCard.model_validate(read_json(folder / "card.json"))
    return ModelTeacher(card.model_copy(update={"model_dir": str(folder / "model")}), context.spec.signals)


def labelled_rows(examples: Examples) -> Examples:
    """The rows that a model may learn from people's labels; raises DataError when they teach nothing."""
    train = examples.part("train")
    rows = train.take(train.y >= 0)
    classes = np.unique(rows.y)
    if not len(rows):
        raise DataError(
            "There are no labelled rows to fine-tune on.",
            hint="Name the label column and a share for split.teacher_train, or use a teacher that exists already.",
        )
    if len(classes) < 2:
        raise DataError(
            f"All {len(rows)} labelled training rows have the label '{examples.labels[int(classes[0])]}'.",
            hint="A classifier needs rows of at least two labels: check the label column.",
        )
    return rows


def _make(context: StageContext, options: FineTunedOptions, rows: Examples, base: Path, folder: Path) -> None:
    """Train, save, and write card.json last, so that its presence means 'whole'."""
    from distill.engine.loading import load_classifier, save_classifier
    from distill.engine.train import train_classifier

    training = TrainingSpec(
        temperature=1.0,
        learning_rate=options.learning_rate,
        epochs=options.epochs,
        batch_size=options.batch_size,
        freeze_embeddings=options.freeze_embeddings,
        precision=options.precision,
    )
    result = train_classifier(
        load_classifier(str(base), rows.labels, new_head=True, seed=options.seed),
        rows.texts,
        rows.pairs,
        np.eye(len(rows.labels))[rows.y],
        training,
        seed=options.seed,
        max_tokens=context.spec.signals.max_tokens,
        dev=None,
        arm=TEACHER,
        folder=folder,
        monitor=context.monitor,
    )
    save_classifier(result.loaded, folder / "model")
    card = teacher_card(
        folder / "model",
        "fine_tuned",
        id=options.base,
        version=options.revision or "",
        labels=rows.labels,
        trained_on=len(rows),
        human_labels=len(rows),
        train_seconds=round(result.seconds, 3),
        epochs_run=result.epochs_run,
        extra={"generation": generation_of(base), "steps": result.steps, "base": options.base},
    )
    write_json(folder / "card.json", card.model_dump(mode="json"))
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
