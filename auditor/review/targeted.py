"""The targeted queue: labels that look wrong. It finds errors to mend; what is found there never enters an estimate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from auditor.evidence.log import append
from auditor.review.frame import LabelFrame, load_frame
from auditor.review.rounds import TARGETED, check_frame, deal, require_name, require_round
from auditor.review.tables import ItemRow, PlanRow
from auditor.stats.text import repeated_share, token_f1
from distill.db import open_database
from distill.errors import DataError, HeirloomError, ReviewError, nearest
from distill.store import Run
from distill.types import ClassSignal, Floats, Ints
from distill.workspace import Workspace

FOLDS = 3
Source = Callable[[Run, LabelFrame], Ints]


@dataclass(frozen=True)
class Dealt:
    """What was added to the queue: cards by source, and for each source that gave none the reason."""

    cards: dict[str, int]
    missing: dict[str, str]


def add_targeted(workspace: Workspace, run: Run, sources: tuple[str, ...], each: int, by: str) -> Dealt:
    """Add the most suspicious labels of each source to the open round's targeted queue; cards of the round are left out.

    Args:
        workspace: holds the database.
        run: the run under review.
        sources: names of SOURCES.
        each: at most so many cards from each.
        by: who asks.

    Raises:
        ReviewError: no open round, or an unknown source.
    """
    by = require_name(by)
    now = require_round(workspace, run.id)
    frame = load_frame(run)
    check_frame(now.plan, frame)
    known = sources_of(frame)
    ranked: dict[str, Ints] = {}
    missing: dict[str, str] = {}
    for name in dict.fromkeys(sources):
        if name not in known:
            raise ReviewError(f"'{name}' is no source of the targeted queue.", hint=nearest(name, known))
        try:
            ranked[name] = known[name](run, frame)
        except HeirloomError as error:
            missing[name] = error.message
    with open_database(workspace).write() as session:
        row = session.get_one(PlanRow, (run.id, now.number))
        query = select(ItemRow.row_index).where(ItemRow.run_id == run.id, ItemRow.round == now.number)
        taken = set(session.scalars(query))
        chosen: list[int] = []
        why: list[str] = []
        cards: dict[str, int] = {}
        for name, order in ranked.items():
            fresh = [int(p) for p in order if int(p) not in taken][:each]
            taken.update(fresh)
            chosen += fresh
            why += [name] * len(fresh)
            cards[name] = len(fresh)
            if not fresh:
                missing[name] = f"all of its {frame.unit} are in this round already"
        append(session, run.id, by, "plan", {"round": now.number, "targeted": cards})
        deal(session, row, frame, np.array(chosen, dtype=np.int64), TARGETED, why=why)
    return Dealt(cards, missing)


def add_rows(workspace: Workspace, run: Run, positions: Ints, why: str, by: str) -> int:
    """Add single labels, by their position in the frame, to the open round's targeted queue; returns how many were not in the round yet.

    Raises:
        ReviewError: no name, or no open round.
    """
    by = require_name(by)
    now = require_round(workspace, run.id)
    frame = load_frame(run)
    check_frame(now.plan, frame)
    with open_database(workspace).write() as session:
        row = session.get_one(PlanRow, (run.id, now.number))
        query = select(ItemRow.row_index).where(ItemRow.run_id == run.id, ItemRow.round == now.number)
        taken = set(session.scalars(query))
        fresh = np.array([int(p) for p in positions if int(p) not in taken], dtype=np.int64)
        if len(fresh):
            append(session, run.id, by, "plan", {"round": now.number, "targeted": {why: len(fresh)}})
            deal(session, row, frame, fresh, TARGETED, why=why)
    return len(fresh)


def similar(frame: LabelFrame, text: str, count: int = 10) -> Ints:
    """Positions of the labelled texts that share most words with ``text`` (cosine of hashed word counts), the nearest first."""
    from sklearn.feature_extraction.text import HashingVectorizer

    words = HashingVectorizer(n_features=2**18, alternate_sign=False)
    near = np.asarray((words.transform(frame.table["text"].to_pylist()) @ words.transform([text]).T).todense()).ravel()
    return _only(_order(near), near > 0)[:count]


def by_entropy(_run: Run, frame: LabelFrame) -> Ints:
    """Positions by the entropy of the teacher's distribution, the least sure first."""
    p = np.clip(frame.probs, 1e-12, 1.0)
    return _order(-(p * np.log(p)).sum(axis=1))


def by_disagreement(run: Run, frame: LabelFrame) -> Ints:
    """Positions where the candidate and the teacher differ, the candidate's surest first.

    Raises:
        ReviewError: no seed of the candidate was asked about the pool.
    """
    folder = run.folder / "predictions" / run.spec.candidate
    found = [ClassSignal.read(path) for path in sorted(folder.glob("*.pool.parquet"))]
    if not found:
        raise ReviewError("the student was not asked about the pool")
    mean = np.mean([signal.aligned(frame.ids).probs for signal in found], axis=0)
    rows = np.arange(len(frame))
    doubt = mean.max(axis=1) - mean[rows, frame.label]
    return _only(_order(doubt), doubt > 0)


def by_label_quality(_run: Run, frame: LabelFrame) -> Ints:
    """Positions by cleanlab's label-quality score (normalised margin), the worst first.

    Probabilities come from a bag-of-words classifier that is cross-validated on the teacher's labels: a second opinion
    that has not seen the label it judges. Northcutt et al. 2021; Kuan & Mueller 2022.

    Raises:
        ReviewError: too few labels of a class for cross-validation.
    """
    from cleanlab.rank import get_label_quality_scores

    probs, labels = second_opinion(frame), frame.label
    _, dense = np.unique(labels, return_inverse=True)
    score = get_label_quality_scores(dense, probs, method="normalized_margin")
    return _order(-np.asarray(score, dtype=np.float64))


def second_opinion(frame: LabelFrame) -> Floats:
    """Out-of-fold probabilities of a linear bag-of-words classifier, shape [n, classes that occur]."""
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    counts = np.bincount(frame.label)
    if (counts > 0).sum() < 2 or counts[counts > 0].min() < FOLDS:
        raise ReviewError(f"each class needs at least {FOLDS} labels to cross-validate a second opinion")
    texts = frame.table["text"].to_pylist()
    pairs = frame.table["pair"].to_pylist()
    joined = [f"{text} {pair}" if isinstance(pair, str) else str(text) for text, pair in zip(texts, pairs, strict=True)]
    words = HashingVectorizer(n_features=2**18, ngram_range=(1, 2), alternate_sign=False).transform(joined)
    model = SGDClassifier(loss="log_loss", alpha=1e-5, random_state=0, max_iter=20, tol=1e-3)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    return np.asarray(cross_val_predict(model, words, frame.label, cv=folds, method="predict_proba"), dtype=np.float64)


def by_gender_pairs(run: Run, frame: LabelFrame) -> Ints:
    """Positions of labels that a change of gender may turn: twins in the pool that differ only in gender and got two labels first,
    then rows with a grammatical swap by the teacher's margin, the narrowest first.

    Raises:
        ReviewError: no row can be swapped.
    """
    from distill.gender.swaps import swap_rows

    texts = [str(text) for text in frame.table["text"].to_pylist()]
    try:
        rows = swap_rows(texts, run.spec.data.language or "en").rows
    except DataError as error:
        raise ReviewError(error.message) from error
    if rows.empty:
        raise ReviewError("no text mentions a gender that can be swapped")
    place = rows["row"].to_numpy(dtype=np.int64)
    first = {text: position for position, text in enumerate(texts)}
    twin = np.array([first.get(swapped, -1) for swapped in rows["swapped"]])
    differs = (twin >= 0) & (frame.label[np.maximum(twin, 0)] != frame.label[place])
    top = np.sort(frame.probs[place], axis=1)
    margin = top[:, -1] - top[:, -2]
    return place[np.lexsort((place, margin, ~differs))]


def by_answer_entropy(_run: Run, frame: LabelFrame) -> Ints:
    """Positions by the teacher's mean entropy a token, the least sure first.

    Raises:
        ReviewError: the teacher gave no log-probabilities.
    """
    entropy = frame.table["entropy"].to_numpy().astype(np.float64)
    if not np.isfinite(entropy).any():
        raise ReviewError("the teacher gave no log-probabilities")
    return _only(_order(np.nan_to_num(entropy, nan=-np.inf)), np.isfinite(entropy))


def by_finish(_run: Run, frame: LabelFrame) -> Ints:
    """Positions of empty answers, then of those that the limit of tokens stopped, in file order."""
    finish = np.asarray(frame.table["finish"].to_pylist(), dtype=object)
    rank = np.select([finish == "empty", finish == "length"], [2.0, 1.0], 0.0)
    return _only(_order(rank), rank > 0)


def by_repetition(_run: Run, frame: LabelFrame) -> Ints:
    """Positions by the share of four-word sequences that the same answer has said before, the most repetitive first."""
    share = np.array([repeated_share(str(one)) or 0.0 for one in frame.table["answer"].to_pylist()], dtype=np.float64)
    return _only(_order(share), share > 0)


def by_reference(_run: Run, frame: LabelFrame) -> Ints:
    """Positions by the F1 of the words shared with the reference answer, the farthest first.

    Raises:
        ReviewError: no prompt has a reference.
    """
    pairs = zip(frame.table["pair"].to_pylist(), frame.table["answer"].to_pylist(), strict=True)
    near = np.array([token_f1(str(said), ref) if isinstance(ref, str) else np.nan for ref, said in pairs])
    if not np.isfinite(near).any():
        raise ReviewError("no prompt has a reference answer")
    return _only(_order(-np.nan_to_num(near, nan=np.inf)), np.isfinite(near))


SOURCES: dict[str, Source] = {
    "entropy": by_entropy,
    "disagreement": by_disagreement,
    "label quality": by_label_quality,
    "gender pairs": by_gender_pairs,
}
OF_ANSWERS: dict[str, Source] = {
    "least sure": by_answer_entropy,
    "cut off": by_finish,
    "repetitive": by_repetition,
    "far from reference": by_reference,
}
MEANING = {
    "least sure": "The teacher was least sure of its words.",
    "cut off": "The answer is empty, or was stopped by the limit of tokens.",
    "repetitive": "The answer says the same again and again.",
    "far from reference": "The answer shares few words with the reference.",
    "entropy": "The teacher was least sure.",
    "disagreement": "Student and teacher differ.",
    "label quality": "A second classifier, trained without the label, finds it unlikely (cleanlab).",
    "gender pairs": "A change of gender may change the label.",
}


def sources_of(frame: LabelFrame) -> dict[str, Source]:
    """Where suspicious cards come from: other signs give away an answer than a label."""
    return OF_ANSWERS if frame.unit == "answers" else SOURCES


def _order(score: Floats) -> Ints:
    """Positions by falling score; ties in file order."""
    return np.argsort(-score, kind="stable").astype(np.int64)


def _only(order: Ints, mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Ints:
    return order[mask[order]]
