"""A fair head on the frozen embeddings of a student, by fairlearn: what constraints on groups could reach, and what they cost.

fairlearn's reductions and post-processing are binary, so the head decides between the class that the user calls positive and the rest; the
rest is shared out by the student's own conditional probabilities. The result is no checkpoint, since a randomised mixture of linear heads is
none: the arm stands in the run as predictions only.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from distill.errors import DataError, ModelError
from distill.files import file_digest
from distill.gender.lexicon import load_lexicon
from distill.gender.swaps import gender_mentions
from distill.plugins import ArmContext, arm
from distill.spec import Part
from distill.store import ModelCard
from distill.types import Examples, Floats, Ints, Strings, write_frame

LEAST = 20  # rows of a group with which anything can be fitted
ROUNDS = (
    12  # best responses of ExponentiatedGradient: fifty, its default, change the third digit at four times the cost
)
WHAT_IF = "What if: needs each person's gender at prediction time."


class FairHeadOptions(Part):
    """Which constraint, on which student."""

    method: Literal["exponentiated_gradient", "threshold_optimizer"] = Field(
        "exponentiated_gradient",
        description="Reduction while learning, or thresholds by group afterwards (what if only).",
    )
    constraint: Literal["demographic_parity", "equalized_odds"] = Field(
        "demographic_parity", description="What is to be alike between the groups."
    )
    source: str = Field("distilled", description="Arm whose embeddings are frozen; it stands before this one.")
    column: str | None = Field(None, description="Group column; whom a text mentions when empty.")


@arm(
    "fair_head",
    "fairlearn on a student's frozen embeddings; predictions only.",
    FairHeadOptions,
    needs={"signals", "seeds"},
)
def fair_head(context: ArmContext, options: Any) -> ModelCard:
    """Fit the head on the synthetic labels of the pool and write its answers for dev and test.

    Raises:
        DataError: no positive class, pairs of texts, or fewer than two groups of some size.
        ModelError: the source arm has no model with this seed.
    """
    positive = _positive(context)
    folder = context.stage.run.arm_folder(options.source, context.seed) / "model"
    if not (folder / "config.json").exists():
        raise ModelError(
            f"The arm '{options.source}' has no model with seed {context.seed}.",
            hint="Name a trained arm that stands before this one.",
        )
    asked = context.examples.part("dev", "test")
    groups = [_groups(context, rows, options) for rows in (context.pool, asked)]
    from distill.engine.embed import embeddings

    tokens = context.stage.spec.signals.max_tokens
    texts = [*context.pool.texts, *asked.texts]
    inside, student = embeddings(folder, context.examples.labels, texts, max_tokens=tokens)
    n = len(context.pool)
    y = (context.signal.argmax == positive).astype(np.int64)
    usable = _usable(groups[0], y)
    if options.method == "exponentiated_gradient":
        share = _reduced(inside[:n][usable], y[usable], groups[0][usable], inside[n:], options.constraint)
    else:
        share = _thresholds(student[:, positive], n, y, groups, usable, options.constraint)
    path = context.folder / "predictions.parquet"
    write_frame(path, pd.DataFrame({"id": asked.ids, "probs": list(spread(share, student[n:], positive))}))
    return _card(context, options, path, positive)


def spread(share: Floats, student: Floats, positive: int) -> Floats:
    """Probabilities [n, k]: ``share`` [n] for the positive class, the rest by the student's conditional probabilities."""
    rest = student.copy()
    rest[:, positive] = 0.0
    sums = rest.sum(axis=1, keepdims=True)
    others = np.where(sums > 0, rest / np.maximum(sums, 1e-12), 1.0 / max(1, student.shape[1] - 1))
    found = others * (1.0 - share)[:, None]
    found[:, positive] = share
    return np.asarray(found / found.sum(axis=1, keepdims=True), dtype=np.float64)


def _positive(context: ArmContext) -> int:
    chosen, labels = context.stage.spec.data.positive, context.examples.labels
    if chosen is None or chosen not in labels:
        raise DataError(
            "A fair head needs the class that counts as the good outcome, and none was chosen.",
            hint=f"Set data.positive to one of: {', '.join(labels)}.",
        )
    if context.pool.pairs is not None:
        raise DataError("A fair head is for single texts, and the pool has two a row.", hint="Leave this arm out.")
    return labels.index(chosen)


def _groups(context: ArmContext, rows: Examples, options: FairHeadOptions) -> Strings:
    if options.column is None:
        language = context.stage.spec.data.language
        if language is None:
            raise DataError("The language of the texts is not stated.", hint="Set data.language, or name a column.")
        return np.asarray(gender_mentions(rows.texts, language, load_lexicon(language)), dtype=object)
    if options.column not in rows.groups:
        known = ", ".join(rows.groups) or "none"
        raise DataError(f"The data have no group column '{options.column}'.", hint=f"Group columns: {known}.")
    return np.array([str(value) for value in rows.groups[options.column]], dtype=object)


def _usable(groups: Strings, y: Ints) -> np.ndarray:
    """Rows of groups that are large enough and have both answers, shape [n]; raises DataError where such groups are fewer than two."""
    found = pd.DataFrame({"group": groups, "y": y}).groupby("group")["y"].agg(["size", "nunique"])
    fit = found.index[(found["size"] >= LEAST) & (found["nunique"] == 2)]
    if len(fit) < 2:
        raise DataError(
            f"A fair head needs two groups of at least {LEAST} pool rows with both answers, and there "
            f"{'is' if len(fit) == 1 else 'are'} {len(fit)}.",
            hint="Choose another group column.",
        )
    return np.asarray(pd.Series(groups).isin(fit).to_numpy())


def _reduced(x: Floats, y: Ints, groups: Strings, asked: Floats, constraint: str) -> Floats:
    """Share of the mixture's heads that say 'positive', shape [m]; Agarwal et al. 2018, "A Reductions Approach to Fair Classification"."""
    from fairlearn.reductions import DemographicParity, EqualizedOdds, ExponentiatedGradient
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(x)
    goal = DemographicParity() if constraint == "demographic_parity" else EqualizedOdds()
    head = ExponentiatedGradient(LogisticRegression(max_iter=200, C=0.1), goal, eps=0.01, max_iter=ROUNDS)
    head.fit(scaler.transform(x), y, sensitive_features=pd.Series(groups))
    return np.clip(np.asarray(head._pmf_predict(scaler.transform(asked))[:, 1], dtype=np.float64), 0.0, 1.0)


def _thresholds(score: Floats, n: int, y: Ints, groups: list[Strings], usable: np.ndarray, constraint: str) -> Floats:
    """Probability of 'positive' under thresholds by group, shape [m]; Hardt et al. 2016. A group that was not fitted keeps the student's."""
    from fairlearn.postprocessing import ThresholdOptimizer

    x = score[:n][usable][:, None]
    fitted = ThresholdOptimizer(
        estimator=_as_is(),
        constraints=constraint,
        objective="accuracy_score",
        prefit=True,
        predict_method="predict_proba",
    )
    fitted.fit(x, y[usable], sensitive_features=pd.Series(groups[0][usable]))
    share = score[n:].copy()
    known = np.isin(groups[1], np.unique(groups[0][usable].astype(str)))
    if known.any():
        found = fitted._pmf_predict(score[n:][known][:, None], sensitive_features=pd.Series(groups[1][known]))
        share[known] = found[:, 1]
    return np.clip(share, 0.0, 1.0)


def _as_is() -> Any:
    """An estimator whose only feature is the probability already; a class of sklearn's, since fairlearn asks for its tags."""
    from sklearn.base import BaseEstimator, ClassifierMixin

    class AsIs(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        classes_ = np.array([0, 1])

        def fit(self, x: Any, y: Any) -> Any:
            return self

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def predict_proba(self, x: Any) -> Floats:
            share = np.asarray(x, dtype=np.float64)[:, 0]
            return np.column_stack([1.0 - share, share])

    return AsIs()


def _card(context: ArmContext, options: FairHeadOptions, path: Any, positive: int) -> ModelCard:
    label = context.examples.labels[positive]
    notes = [
        f"fairlearn is binary: the head decides '{label}' or not, and the rest is shared out by the student's own conditional probabilities.",
        "Predictions only: it cannot answer the audit's own sentences, so it has group measures and no gender gap.",
    ]
    if options.method == "threshold_optimizer":
        notes.insert(0, WHAT_IF)
    return ModelCard(
        name=context.arm.name,
        kind="fair_head",
        seed=context.seed,
        id=f"{context.stage.run.id}/{context.arm.name}/{context.seed}",
        labels=context.examples.labels,
        predictions=str(path.resolve()),
        weights_digest=file_digest(path),
        trained_on=len(context.pool),
        notes=tuple(notes),
        extra={"method": options.method, "constraint": options.constraint, "source": options.source},
    )
