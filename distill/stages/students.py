"""Stage 'students': every arm, with every seed. What is made already is left alone; what cannot be made says why."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from distill import energy
from distill.arms.sources import arm_seeds, source_of, sources_first
from distill.errors import Cancelled, HeirloomError, ModelError, StoreError
from distill.files import digest_of, read_json, write_json
from distill.monitor import Within
from distill.plugins import ARMS, ArmContext, StageContext
from distill.spec import ArmSpec
from distill.stages.frame import Outcome, metered, once, plain_errors
from distill.stages.labels import labels_digest, training_signal, wants_labels
from distill.stages.predictions import teacher_on_dev
from distill.store import ModelCard, Run
from distill.types import ClassSignal, Examples

Job = tuple[ArmSpec, int]


def run_students(context: StageContext) -> Outcome:
    """Write arms/NAME/SEED/arm.json and model/ for every arm and seed.

    An arm that cannot be made writes arms/NAME/skipped.json instead and the run goes on, unless it is the candidate.

    Raises:
        HeirloomError: why the candidate cannot be made.
        StoreError: the disk is full or cannot be written.
    """
    return make_students(context, _base)


def make_students(context: StageContext, base_of: Callable[[StageContext], ArmContext]) -> Outcome:
    """:func:`run_students` for any task; ``base_of`` gives the part of the arms' context that all of them share."""
    jobs = [(arm, seed) for arm in sources_first(context.spec) for seed in arm_seeds(context.spec, arm)]
    digest = digest_of([context.spec.stage_digest("students"), labels_digest(context)])
    skipped = skipped_arms(context.run)
    cards = [context.run.arm_folder(arm.name, seed) / "arm.json" for arm, seed in jobs if arm.name not in skipped]
    once(context, "students", digest, lambda: _make_all(context, jobs, base_of(context)), cards)
    return "done"


def skipped_arms(run: Run) -> dict[str, str]:
    """Name and reason of every arm that could not be made."""
    found = sorted((run.folder / "arms").glob("*/skipped.json"))
    return {path.parent.name: str(read_json(path).get("reason", "")) for path in found}


def _base(context: StageContext) -> ArmContext:
    """What the arms of a classification share."""
    examples = context.run.examples
    pool, signal = training_signal(context.run, examples)
    return ArmContext(
        stage=context,
        arm=context.spec.arms[0],
        student=context.spec.student,
        training=context.spec.training,
        seed=0,
        examples=examples,
        pool=pool,
        signal=signal,
        dev_signal=_dev_signal(context, examples),
        teacher=context.run.teacher,
        folder=context.run.folder,
    )


def _make_all(context: StageContext, jobs: list[Job], base: ArmContext) -> dict[str, Any]:
    work = [_texts(base, arm) for arm, _ in jobs]
    made: list[ModelCard] = []
    reused = done = 0
    skipped: set[str] = set()
    for number, ((arm, seed), texts) in enumerate(zip(jobs, work, strict=True), start=1):
        note = f"{arm.name}, seed {seed} ({number} of {len(jobs)})"
        if arm.name not in skipped:
            monitor = Within(context.monitor, done, max(1, sum(work)), note=note)
            found = _reusable(base, arm, seed)
            card = found or _try(_of(base, arm, seed, replace(context, monitor=monitor)))
            reused += found is not None
            made += [card] if card else []
            skipped |= set() if card else {arm.name}
        done += texts
        context.monitor.progress(done if sum(work) else 1, max(1, sum(work)), unit="texts", note=note)
    seconds = {f"{card.name}/{card.seed}": card.train_seconds for card in made}
    return {"made": len(made) - reused, "reused": reused, "skipped": sorted(skipped), "train_seconds": seconds}


def _dev_signal(context: StageContext, examples: Examples) -> ClassSignal:
    """The teacher's answers on dev, where an arm wants to agree with them."""
    nothing = ClassSignal(np.array([], dtype=object), np.empty((0, len(examples.labels))))
    return (teacher_on_dev(context) or nothing) if wants_labels(context) else nothing


def _texts(base: ArmContext, arm: ArmSpec) -> int:
    """Texts that one training of this arm reads, for the progress bar."""
    needs = ARMS.get(arm.kind).needs
    if "seeds" not in needs or not arm.options.get("recover", True):
        return 0
    training = base.stage.spec.training_of(arm)
    rows = int((base.examples.part("train").y >= 0).sum()) if "human_labels" in needs else len(base.pool)
    return training.epochs * min(rows, training.max_texts or rows)


def _of(base: ArmContext, arm: ArmSpec, seed: int, stage: StageContext) -> ArmContext:
    return replace(
        base,
        stage=stage,
        arm=arm,
        student=stage.spec.student_of(arm),
        training=stage.spec.training_of(arm),
        seed=seed,
        folder=stage.run.arm_folder(arm.name, seed),
    )


def arm_digest(base: ArmContext, arm: ArmSpec, seed: int) -> str:
    """Digest of everything that decides one candidate; other seeds and other arms are not in it, unless it is made from one."""
    spec = base.stage.spec
    source = source_of(spec, arm)
    return digest_of(
        {
            **({"source": arm_digest(base, source, seed)} if source else {}),
            "labels": labels_digest(base.stage),
            "teacher": base.teacher.weights_digest,
            "arm": arm.model_dump(mode="json"),
            "student": spec.student_of(arm).model_dump(mode="json"),
            "training": spec.training_of(arm).model_dump(mode="json"),
            "seed": seed,
        }
    )


def _reusable(base: ArmContext, arm: ArmSpec, seed: int) -> ModelCard | None:
    """The candidate when it is there, whole, and made from the same things."""
    run = base.stage.run
    path = run.arm_folder(arm.name, seed) / "arm.json"
    if not path.exists():
        return None
    try:
        card = ModelCard.model_validate(read_json(path))
    except (StoreError, ValueError):
        return None  # torn: it is made again
    whole = card.model_dir is None or (path.parent / "model" / "config.json").exists() or card.kind == "given"
    return card if whole and card.extra.get("digest") == arm_digest(base, arm, seed) else None


def _try(context: ArmContext) -> ModelCard | None:
    """Make one candidate; None, and a reason on disk, when it cannot be made and the run can do without it."""
    arm, run, monitor = context.arm, context.stage.run, context.stage.monitor
    path = run.folder / "arms" / arm.name / "skipped.json"
    try:
        with plain_errors(f"arm {arm.name}"):
            card = _make(context)
    except (Cancelled, StoreError):
        raise
    except HeirloomError as error:
        if arm.name == context.stage.spec.candidate:
            raise
        for folder in run.folder.glob(f"arms/{arm.name}/*/"):
            shutil.rmtree(folder, ignore_errors=True)
        write_json(path, {"reason": error.message, "hint": error.hint})
        monitor.note(f"The arm '{arm.name}' is skipped: {error.message}", warning=True)
        return None
    path.unlink(missing_ok=True)
    return card


def _make(context: ArmContext) -> ModelCard:
    entry = ARMS.get(context.arm.kind)
    missing = _missing(context, entry.needs)
    if missing:
        raise ModelError(f"{missing}, which this arm needs.", hint="Leave the arm out, or give the run what it needs.")
    context.folder.mkdir(parents=True, exist_ok=True)
    used = energy.reading()
    card = entry.function(context, entry.options.model_validate(context.arm.options))
    extra = {**card.extra, **metered(used), "digest": arm_digest(context, context.arm, context.seed)}
    card = card.model_copy(update={"extra": extra})
    write_json(context.folder / "arm.json", context.stage.run.portable(card).model_dump(mode="json"))
    shutil.rmtree(context.folder / "checkpoint", ignore_errors=True)
    return card


def _missing(context: ArmContext, needs: frozenset[str]) -> str | None:
    """What the run lacks of an arm's needs, as the beginning of a sentence."""
    have = {
        "teacher_model": (bool(context.teacher.model_dir), "There is no model of the teacher, only its predictions"),
        "signals": (len(context.pool) > 0, "There are no synthetic labels"),
        "human_labels": (bool((context.examples.part("train").y >= 0).any()), "No training row has a human label"),
        "seeds": (bool(context.stage.spec.seeds), "There is no seed"),
    }
    return next((sentence for need, (there, sentence) in have.items() if need in needs and not there), None)
