"""What a student may do against gender bias: the pool, its soft targets and their weights, changed before it learns.

    averaging       a text and its counterfactual share one target, the mean of the teacher's answers to both
    logit_pairing   the difference of the logits of a text and its counterfactual costs something (Garg et al. 2019)
    reweighting     each soft target weighs P(group) · P(label) / P(group, label) (Kamiran & Calders 2012)
    augmentation    the counterfactual of a text is learnt as well, with the text's own target (Lu et al. 2020)

Counterfactuals come from :mod:`distill.gender.counterfactuals`; the human labels of the pool are never looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from distill.errors import DataError, ModelError
from distill.gender.counterfactuals import PairSet, counterfactual_pairs
from distill.gender.lexicon import Lexicon, load_lexicon
from distill.gender.swaps import gender_mentions
from distill.monitor import Quiet
from distill.plugins import ArmContext
from distill.spec import Part
from distill.types import Examples, Floats, Strings, content_id

Mitigation = Literal["none", "averaging", "logit_pairing", "reweighting", "augmentation"]
MOST_GROUPS = 50


class MitigationOptions(Part):
    """What is done against gender bias while the student learns."""

    mitigation: Mitigation = Field("none", description="What is done against gender bias.")
    strength: float = Field(
        1.0,
        ge=0,
        le=100,
        description="Logit pairing: weight of the penalty. Averaging: how far a target moves to the mean, 0 to 1. Augmentation: "
        "weight of an added text. Re-weighting: 0 is none, 1 is full.",
    )
    column: str | None = Field(
        None, description="Re-weighting: group column of the data; whom the text mentions when empty."
    )
    insert: float = Field(
        0.5, ge=0, le=1, description="Share of the texts without a gendered word that are put beside a person."
    )
    fillers: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the listed names and nouns that are used; the audit meets the others unseen.",
    )
    extra: tuple[str, ...] = Field((), description="Files or folders with further names, nouns, swaps and frames.")


@dataclass(frozen=True)
class Lesson:
    """What a student learns from.

    Attributes:
        rows: n texts; the pool's first, in order, then the added ones.
        targets: [n, k].
        weights: [n] with mean 1, or None.
        twins: for each row the text whose logits should be the same, or None; None without logit pairing.
        notes: what was done, for the model's card.
    """

    rows: Examples
    targets: Floats
    weights: Floats | None = None
    twins: tuple[str | None, ...] | None = None
    notes: tuple[str, ...] = ()


def make_lesson(context: ArmContext, options: MitigationOptions) -> Lesson:
    """The pool as this mitigation changes it.

    Raises:
        DataError: the texts are pairs, their language is not stated or has no words, or nothing can be paired or weighed.
        ModelError: averaging asks the teacher, and there are only its predictions.
    """
    pool, targets = context.pool, context.signal.probs
    if options.mitigation == "none" or not options.strength:
        return Lesson(pool, targets)
    if options.mitigation == "reweighting":
        weights = kamiran_calders(_groups(context, options), targets, options.strength)
        low, high = float(weights.min()), float(weights.max())
        note = f"Soft targets re-weighted by group and label ({low:.2f} to {high:.2f})."
        return Lesson(pool, targets, weights, notes=(note,))
    if pool.pairs is not None:
        raise DataError(
            "The pool has two texts a row, and counterfactuals are made of single texts.",
            hint="Use 'reweighting' with a group column.",
        )
    found = counterfactual_pairs(
        pool.texts, _lexicon(context, options), insert=options.insert, filler_share=options.fillers
    )
    notes = (_told(found, options),)
    if options.mitigation == "logit_pairing":
        return _paired(pool, targets, found, notes)
    if options.mitigation == "augmentation":
        return _augmented(pool, targets, found, options.strength, notes)
    return _averaged(context, found, min(options.strength, 1.0), notes)


def kamiran_calders(groups: Strings, probs: Floats, strength: float = 1.0) -> Floats:
    """Weights that make label and group independent, mean 1, shape [n].

    Kamiran & Calders 2012, "Data preprocessing techniques for classification without discrimination": w(g, y) = P(g) P(y) / P(g, y).
    A soft target counts for each label by its probability, P(g, y) = Σ over rows of g of q(y) / n, and a row's weight is the mean of
    w(g, y) under its own target; for hard labels that is the published formula. Weights are raised to ``strength``.

    Args:
        groups: of each row, shape [n].
        probs: soft targets, shape [n, k].

    Raises:
        DataError: fewer than two groups, or more than MOST_GROUPS.
    """
    codes, names = pd.factorize(groups)
    if not 2 <= len(names) <= MOST_GROUPS:
        raise DataError(
            f"Re-weighting needs 2 to {MOST_GROUPS} groups, and there {'is' if len(names) == 1 else 'are'} {len(names)}.",
            hint="Choose another group column, or another mitigation.",
        )
    joint = np.zeros((len(names), probs.shape[1]))
    np.add.at(joint, codes, probs / len(probs))
    ratio = np.outer(joint.sum(axis=1), joint.sum(axis=0)) / np.maximum(joint, 1e-12)
    weights = (probs * ratio[codes]).sum(axis=1) ** strength
    return np.asarray(weights / weights.mean(), dtype=np.float64)


def _paired(pool: Examples, targets: Floats, found: PairSet, notes: tuple[str, ...]) -> Lesson:
    """Swaps become twins of their rows; a frame adds a row with the text's own target, and its other side as twin."""
    twins: list[str | None] = [None] * len(pool)
    for pair in found.pairs:
        if pair.swapped:
            twins[pair.row] = pair.twin
    framed = [pair for pair in found.pairs if not pair.swapped]
    origin = [pair.row for pair in framed]
    rows = with_texts(pool, origin, [pair.text for pair in framed])
    return Lesson(
        rows, np.vstack([targets, targets[origin]]), twins=(*twins, *(pair.twin for pair in framed)), notes=notes
    )


def _augmented(pool: Examples, targets: Floats, found: PairSet, strength: float, notes: tuple[str, ...]) -> Lesson:
    origin, texts = _added(found)
    weights = np.concatenate([np.ones(len(pool)), np.full(len(texts), strength)])
    rows = with_texts(pool, origin, texts)
    return Lesson(rows, np.vstack([targets, targets[origin]]), weights / weights.mean(), notes=notes)


def _averaged(context: ArmContext, found: PairSet, strength: float, notes: tuple[str, ...]) -> Lesson:
    """Both sides of a pair learn the mean of the teacher's answers, or go ``strength`` of the way to it."""
    pool, targets = context.pool, context.signal.probs.copy()
    origin, texts = _added(found)
    answers = dict(zip(texts, _ask(context, texts), strict=True))
    added: list[Floats] = []
    for pair in found.pairs:
        first, second = targets[pair.row] if pair.swapped else answers[pair.text], answers[pair.twin]
        mean = (first + second) / 2
        sides = [side + strength * (mean - side) for side in (first, second)]
        if pair.swapped:
            targets[pair.row] = sides[0]
            added.append(sides[1])
        else:
            added += sides
    return Lesson(with_texts(pool, origin, texts), np.vstack([targets, *added]), notes=notes)


def _added(found: PairSet) -> tuple[list[int], list[str]]:
    """The texts that the pool does not have, in the order of the pairs, and the row each was made of."""
    sides = [
        (pair.row, text) for pair in found.pairs for text in ((pair.twin,) if pair.swapped else (pair.text, pair.twin))
    ]
    return [row for row, _ in sides], [text for _, text in sides]


def with_texts(pool: Examples, origin: Sequence[int], texts: Sequence[str]) -> Examples:
    """``pool`` and behind it one row for each further text, unlabelled, made of the row ``origin``."""
    if not texts:
        return pool
    added = pool.frame.iloc[list(origin)].reset_index(drop=True)
    added = added.assign(
        text=list(texts),
        content_id=[content_id(text) for text in texts],
        row_id=[f"{row}~{number}" for number, row in enumerate(added["row_id"])],
        label=-1,
    )
    return Examples(pd.concat([pool.frame, added], ignore_index=True), pool.labels)


def _ask(context: ArmContext, texts: Sequence[str]) -> Floats:
    """The teacher's answers to ``texts``, [n, k]; from the cache where it was asked before (another seed, another run)."""
    from distill.stages.labels import ask_teacher
    from distill.teachers.base import open_teacher

    if context.teacher.predictions:
        raise ModelError(
            "Averaging asks the teacher about counterfactual texts, and there are only its predictions.",
            hint="Use 'logit_pairing', 'augmentation' or 'reweighting'.",
        )
    distinct = list(dict.fromkeys(texts))
    frame = pd.DataFrame(
        {
            "row_id": distinct,
            "content_id": [content_id(text) for text in distinct],
            "text": distinct,
            "pair": pd.Series([None] * len(distinct), dtype=object),
            "label": -1,
            "split": "pool",
        }
    )
    stage = context.stage
    quiet = type(stage)(run=stage.run, spec=stage.spec, cache=stage.cache, monitor=Quiet(stage.monitor))
    found = ask_teacher(quiet, open_teacher(quiet), Examples(frame, context.examples.labels))
    if not found.usable.all():
        raise ModelError(
            f"The teacher gave no usable answer to {int((~found.usable).sum()):,} counterfactual texts.",
            hint="Use 'logit_pairing', 'augmentation' or 'reweighting', which do not ask it.",
        )
    answers = found.probs
    place = {text: number for number, text in enumerate(distinct)}
    return answers[[place[text] for text in texts]]


def _groups(context: ArmContext, options: MitigationOptions) -> Strings:
    if options.column is not None:
        groups = context.pool.groups
        if options.column not in groups:
            known = ", ".join(groups) or "none"
            raise DataError(
                f"The data have no group column '{options.column}'.", hint=f"Group columns: {known}; or leave it empty."
            )
        return np.array([str(value) for value in groups[options.column]], dtype=object)
    lexicon = _lexicon(context, options)
    return np.asarray(gender_mentions(context.pool.texts, lexicon.language, lexicon), dtype=object)


def _lexicon(context: ArmContext, options: MitigationOptions) -> Lexicon:
    language = context.stage.spec.data.language
    if language is None:
        raise DataError(
            "The language of the texts is not stated, so no word of them can be swapped.",
            hint="Set data.language, such as 'en'; it is not guessed.",
        )
    return load_lexicon(language, [Path(path) for path in options.extra])


def _told(found: PairSet, options: MitigationOptions) -> str:
    framed = len(found.pairs) - found.swapped
    return (
        f"{options.mitigation.replace('_', ' ').capitalize()}, strength {options.strength:g}: {found.swapped:,} texts swapped, {framed:,} put "
        f"beside one of {len(found.fillers)} pairs of people; {len(found.held_out)} pairs were held out for the audit."
    )
