"""Iterative distillation: after each round the teacher labels what the student is least sure of or gets wrong, and training goes on.

Round 0 learns from a share of the labelled pool. Every later round takes the rows of the pool that the student has not learnt from and
on which it does worst: 1 − p(the teacher's label) where the teacher has spoken, 1 − its own confidence where it has not. All labels,
those of round 0 included, count against ``signals.max_labels`` (what is left of it is dealt out among the seeds). Where no other arm
wants labels, the stage 'labels' asks for those of round 0 only, and the arm asks the teacher for the others. Rounds end when one gains nothing on dev (one-sided exact McNemar
test), when the labels are used up, or after ``rounds``. The weights of the round that does best on dev are kept.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from distill.arms.making import agreement_target, dev_set, starting_student, student_card
from distill.plugins import ArmContext, arm
from distill.spec import Part
from distill.stages.labels import CORRECTIONS, ask_teacher
from distill.store import ModelCard
from distill.teachers.base import open_teacher
from distill.types import UNLABELLED, Examples, Floats, Ints, read_frame

if TYPE_CHECKING:
    from distill.engine.loading import LoadedClassifier


class IterativeOptions(Part):
    """How the rounds go."""

    first: float = Field(0.5, gt=0, le=1, description="Share of signals.max_labels (or of the pool) in round 0.")
    rounds: int = Field(3, ge=1, le=20, description="Rounds after round 0 at most.")
    add: float = Field(0.25, gt=0, le=1, description="Share of it that each round adds.")
    level: float = Field(0.2, gt=0, lt=1, description="A round gained when the test's p-value on dev is at most this.")


@dataclass
class _Taught:
    """What the student has learnt from so far: positions in the pool and the teacher's probabilities for them."""

    places: Ints
    targets: Floats


@arm(
    "iterative",
    "Rounds in which the teacher labels what the student gets least certain or wrong.",
    IterativeOptions,
    needs={"signals", "seeds"},
)
def iterative(context: ArmContext, options: Any) -> ModelCard:
    """Train in rounds; the card's ``extra.rounds`` tells what each added and gained."""
    pool, known = _pool(context)
    limit = min(len(pool), context.stage.spec.signals.max_labels)
    step = max(1, round(options.add * limit))
    order = np.random.default_rng([context.seed, 0x17]).permutation(np.flatnonzero(~np.isnan(known[:, 0])))
    taught = _taught(known, np.sort(order[: max(1, round(options.first * limit))]))
    loaded, best, best_right = starting_student(context), None, None
    told: list[dict[str, Any]] = []
    budget = (context.stage.spec.signals.max_labels - len(context.pool)) // len(context.stage.spec.seeds)
    seconds, asked, why = 0.0, 0, f"{options.rounds} rounds were made"
    target = agreement_target(context)
    for number in range(options.rounds + 1):
        if number:
            fresh = _worst(context, loaded, pool, known, taught, min(step, limit - len(taught.places)), budget)
            if not len(fresh):
                why = "no label is left"
                break
            asked = int(np.isnan(known[fresh, 0]).sum())
            budget -= asked
            known = _labelled(context, pool, known, fresh)
            taught = _taught(known, np.sort(np.concatenate([taught.places, fresh])))
        result = _train(context, loaded, pool, taught, number, target)
        loaded, seconds = result.loaded, seconds + result.seconds
        right = _right(context, loaded, target)
        won, lost, p = gained(best_right, right)
        agreement = None if right is None else float(right.mean())
        told.append({"round": number, "labels": len(taught.places), "asked": asked, "dev_agreement": agreement, "won": won, "lost": lost, "p": p})  # fmt: skip
        if best_right is None or right is None or right.sum() > best_right.sum():
            best, best_right = _save(context, loaded, len(taught.places)), right
        if number and p is not None and p > options.level:
            why = f"round {number} gained nothing"
            break
    return student_card(
        context,
        trained_on=int(best or 0),
        train_seconds=round(seconds, 3),
        epochs_run=float(context.training.epochs * len(told)),
        notes=(f"Stopped because {why}.", f"The teacher gave {len(taught.places):,} labels in {len(told)} rounds."),
        extra={"rounds": told, "stopped": why, "temperature": context.training.temperature},
    )


def gained(before: Any, after: Any) -> tuple[int, int, float | None]:
    """Rows won and lost on dev and the one-sided exact McNemar p-value of 'nothing was gained'; None without a comparison."""
    if before is None or after is None:
        return 0, 0, None
    won, lost = int((after & ~before).sum()), int((before & ~after).sum())
    n = won + lost
    return won, lost, sum(comb(n, k) for k in range(won, n + 1)) / 2**n


def _pool(context: ArmContext) -> tuple[Examples, Floats]:
    """The pool's distinct texts that were not dropped by people, and the teacher's probabilities where it has spoken (else NaN)."""
    k = len(context.examples.labels)
    said = dict(zip(context.signal.ids, context.signal.probs, strict=True))
    rest = context.examples.part("pool")
    rest = rest.take(~rest.frame["content_id"].duplicated().to_numpy())
    path = context.stage.run.folder / CORRECTIONS
    if path.exists():
        said_so = read_frame(path, ["row_id", "label"])
        dropped = set(said_so.loc[said_so["label"] == UNLABELLED, "row_id"])
        rest = rest.take(np.array([row not in dropped for row in rest.ids], dtype=np.bool_))
    known = np.array([said.get(row, np.full(k, np.nan)) for row in rest.ids], dtype=np.float64).reshape(-1, k)
    return rest, known


def _taught(known: Floats, places: Ints) -> _Taught:
    return _Taught(places, known[places])


def _labelled(context: ArmContext, pool: Examples, known: Floats, places: Ints) -> Floats:
    """``known`` with the teacher's answers at ``places``; what it said before comes from the cache or the labels."""
    unknown = places[np.isnan(known[places, 0])]
    if len(unknown):
        teacher = open_teacher(context.stage)
        known = known.copy()
        known[unknown] = ask_teacher(context.stage, teacher, pool.take(unknown)).probs
    return known


def _worst(context: ArmContext, loaded: LoadedClassifier, pool: Examples, known: Floats, taught: _Taught, most: int, budget: int) -> Ints:  # fmt: skip
    """At most ``most`` places on which the student does worst, among those it has not learnt from; at most ``budget`` of them are
    rows that the teacher has not labelled yet."""
    rest = np.setdiff1d(np.arange(len(pool), dtype=np.int64), taught.places)
    if most <= 0 or not len(rest):
        return rest[:0]
    mine = _probs(context, loaded, pool.take(rest))
    theirs = known[rest]
    spoken = ~np.isnan(theirs[:, 0])
    sure = mine.max(axis=1)
    label = np.where(spoken, np.nan_to_num(theirs).argmax(axis=1), mine.argmax(axis=1))
    score = 1 - np.where(spoken, mine[np.arange(len(rest)), label], sure)
    ranked = np.argsort(-score, kind="stable")
    within = spoken[ranked] | (np.cumsum(~spoken[ranked]) <= budget)
    return np.sort(rest[ranked[within][:most]])


def _train(context: ArmContext, loaded: LoadedClassifier, pool: Examples, taught: _Taught, number: int, target: Ints | None) -> Any:  # fmt: skip
    from distill.engine.train import train_classifier

    usable = ~np.isnan(taught.targets[:, 0])  # a teacher over the network may have had no answer
    rows = pool.take(taught.places[usable])
    return train_classifier(
        loaded,
        rows.texts,
        rows.pairs,
        taught.targets[usable],
        context.training,
        seed=context.seed + 1000 * number,
        max_tokens=context.stage.spec.signals.max_tokens,
        dev=dev_set(context, target),
        arm=context.arm.name,
        folder=context.folder / "checkpoint" / f"round-{number}",
        monitor=context.stage.monitor,
    )


def _right(context: ArmContext, loaded: LoadedClassifier, target: Ints | None) -> Any:
    """On which dev rows the student says what it should, shape [n]; None without a dev set."""
    if target is None or not (target >= 0).any():
        return None
    rows = context.examples.part("dev").take(target >= 0)
    return _probs(context, loaded, rows).argmax(axis=1) == target[target >= 0]


def _probs(context: ArmContext, loaded: LoadedClassifier, rows: Examples) -> Floats:
    """The student's fp32 probabilities, by way of a saved copy: the predictor reads directories."""
    from distill.engine.loading import save_classifier
    from distill.teachers.base import predictor

    folder = context.folder / "checkpoint" / "now"
    save_classifier(loaded, folder)
    model = predictor(str(folder), rows.labels, context.stage.spec.signals, "fp32")
    probs = model.probabilities(rows.texts, rows.pairs, progress=lambda done: context.stage.monitor.check())
    shutil.rmtree(folder, ignore_errors=True)
    return np.asarray(probs, dtype=np.float64)


def _save(context: ArmContext, loaded: LoadedClassifier, labels: int) -> int:
    from distill.engine.loading import save_classifier

    shutil.rmtree(context.folder / "model", ignore_errors=True)
    save_classifier(loaded, context.folder / "model")
    return labels
