"""The pairs behind a language model's gender gap: both sentences, which one each model would rather write, and how likely it finds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from auditor.bias.likelihood import LikelihoodScorer
from auditor.bias.lm_sets import TITLES
from auditor.bias.pairs import Pairs
from auditor.check import AuditInput
from distill.data import packs
from distill.errors import PackError
from distill.gender.lexicon import load_lexicon
from distill.store import TEACHER, Run
from distill.types import Floats

CHECK = "lm_bias"


@dataclass(frozen=True)
class LanguagePairs(Pairs):
    """All pairs of a run that writes.

    Attributes:
        frame: pair_id (item id of the sentence about a woman), female, male, source (title of the test set), about (occupation or question).
        preference: for each arm σ(S) − ½, shape [pairs]; mean over seeds. Above 0 it would rather write the sentence about a woman.
        perplexity: for each arm that of what it was asked to go on with, her side and his, shape [pairs, 2]; of the seeds' mean log-likelihood.
    """

    frame: pd.DataFrame
    preference: dict[str, Floats]
    perplexity: dict[str, Floats]

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the models that were asked."""
        return tuple(self.preference)

    def gap(self, arm: str) -> Floats:
        """The bounded preference for the sentence about a woman, shape [pairs]."""
        return self.preference[arm]

    def apart(self, arm: str) -> np.ndarray:
        """Where the arm prefers the other sentence than its teacher does."""
        if TEACHER not in self.preference:
            return np.zeros(len(self), dtype=bool)
        mine, theirs = self.preference[arm], self.preference[TEACHER]
        other: np.ndarray = (np.sign(mine) == -np.sign(theirs)) & (mine != 0)
        return other


def language_pairs(run: Run) -> LanguagePairs:
    """The pairs of every test set that was asked, from items.parquet and the predictions; models are not needed.

    Raises:
        StoreError: a file is torn.
    """
    scorer = LikelihoodScorer(AuditInput(run), CHECK)
    items = scorer.items
    if items.empty:
        return LanguagePairs(pd.DataFrame(columns=["pair_id", "female", "male", "source", "about"]), {}, {})
    place = pd.Series(np.arange(len(items)), index=pd.MultiIndex.from_frame(items[["pair_number", "side"]]))
    hers = place.xs("female", level="side")
    his = place.xs("male", level="side").loc[hers.index]
    sides = np.stack([hers.to_numpy(dtype=np.int64), his.to_numpy(dtype=np.int64)], axis=1)
    whole = (items["text"] + items["pair"]).to_numpy(dtype=object)
    first = items.iloc[sides[:, 0]]
    frame = pd.DataFrame(
        {
            "pair_id": first["item_id"].to_numpy(dtype=object),
            "female": whole[sides[:, 0]],
            "male": whole[sides[:, 1]],
            "source": [TITLES.get(name, name) for name in first["set"]],
            "about": first["word"].astype(str).to_numpy(dtype=object),
        }
    )
    preference, perplexity = {}, {}
    for arm in scorer.arms:
        seeds = [one[sides] for one in scorer.logliks(arm)]
        gaps = np.mean([0.5 * np.tanh((one[:, 0] - one[:, 1]) / 2) for one in seeds], axis=0)
        if np.isfinite(gaps).all():
            tokens = np.maximum(scorer.tokens(arm)[sides], 1.0)
            preference[arm] = np.asarray(gaps, dtype=np.float64)
            perplexity[arm] = np.exp(np.minimum(-np.mean(seeds, axis=0) / tokens, 700.0))
    return LanguagePairs(frame, preference, perplexity)


def shares_of_women() -> pd.DataFrame:
    """Columns occupation, share_women (0 to 1), source, year: the lexicon's figures, and Winogender's where the lexicon has none."""
    known = load_lexicon("en").occupations[["occupation", "share_women", "source", "year"]]
    try:
        path = next(p for p in packs.files("winogender").values() if p.name == "occupations-stats.tsv")
    except PackError:
        return known.reset_index(drop=True)
    table = pd.read_csv(path, sep="\t")
    more = pd.DataFrame(
        {
            "occupation": table["occupation"].str.lower(),
            "share_women": table["bls_pct_female"] / 100,
            "source": "US BLS, as in Winogender",
            "year": table["bls_year"] if "bls_year" in table.columns else 2015,
        }
    )
    more = more[~more["occupation"].isin(set(known["occupation"])) & more["share_women"].notna()]
    return pd.concat([known, more], ignore_index=True)
