"""What language models answered to the test prompts, side by side: read from the predictions, filtered and paged for the page Examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from auditor.check import AuditInput
from distill.store import TEACHER, Run
from distill.types import Floats

Kind = Literal["all", "differ", "cut", "empty"]
KINDS: tuple[Kind, ...] = ("differ", "cut", "empty", "all")
COLUMNS = ["answer", "finish", "kl", "agreement"]


@dataclass(frozen=True)
class AnswersView:
    """The test prompts of one run and the answers of each arm's first seed.

    Attributes:
        frame: row_id, text, reference (None where there is none), then for each arm ``<arm>/answer``, ``<arm>/finish``, ``<arm>/kl``
            (nats a token from the teacher) and ``<arm>/agreement`` (share of the teacher's tokens that it would choose).
        arms: names, the teacher first.
        tokens: of each prompt the teacher's tokens, as text.
        probabilities: by arm, of each prompt the probability that the arm gives each of these tokens.
    """

    frame: pd.DataFrame
    arms: tuple[str, ...]
    tokens: tuple[tuple[str, ...], ...] = field(repr=False)
    probabilities: dict[str, tuple[Floats, ...]] = field(repr=False)

    def chosen(self, arm: str, kind: Kind, search: str = "") -> list[int]:
        """Positions of the prompts that match, those where ``arm`` is farthest from its teacher first.

        Args:
            arm: the student that is looked at.
            kind: 'differ' (another answer than the teacher's), 'cut' (stopped by the limit), 'empty', or 'all'.
            search: words that must stand in prompt, reference or an answer, capital or not.
        """
        frame, answer = self.frame, self.frame[f"{arm}/answer"]
        match: np.ndarray[tuple[int], np.dtype[np.bool_]] = {
            "all": np.ones(len(frame), dtype=np.bool_),
            "differ": (answer != frame[f"{TEACHER}/answer"]).to_numpy(dtype=np.bool_),
            "cut": (frame[f"{arm}/finish"] == "length").to_numpy(dtype=np.bool_),
            "empty": (answer.str.strip() == "").to_numpy(dtype=np.bool_),
        }[kind]
        if search:
            names = ["text", "reference", *(f"{name}/answer" for name in self.arms)]
            hit = [frame[name].fillna("").str.contains(search, case=False, regex=False) for name in names]
            match = match & np.logical_or.reduce([one.to_numpy(dtype=np.bool_) for one in hit])
        order = np.argsort(-frame[f"{arm}/kl"].to_numpy(dtype=np.float64), kind="stable")
        return [int(position) for position in order if match[position]]

    def position(self, row_id: str) -> int | None:
        """Where one prompt stands; None when there is none of that name."""
        found = np.flatnonzero(self.frame["row_id"].to_numpy(dtype=object) == row_id)
        return int(found[0]) if len(found) else None


def load_answers(run: Run) -> AnswersView:
    """Read the answers of a run that wrote; an arm without predictions is left out.

    Raises:
        StoreError: the teacher's predictions are missing or torn.
    """
    audit = AuditInput(run)
    test = audit.test
    references = [one if isinstance(one, str) else None for one in test.frame["pair"]]
    columns: dict[str, Sequence[object]] = {"row_id": list(test.ids), "text": test.texts, "reference": references}
    probabilities = {}
    arms = (TEACHER, *audit.arms)
    tokens: tuple[tuple[str, ...], ...] = ()
    for arm in arms:
        outputs = audit.outputs(arm, audit.seeds(arm)[0])
        counts = outputs["forced_tokens"].clip(lower=1)
        given = [
            outputs["answer"].astype(str),
            outputs["finish"],
            outputs["kl_sum"] / counts,
            outputs["agree_sum"] / counts,
        ]
        columns |= {f"{arm}/{name}": list(values) for name, values in zip(COLUMNS, given, strict=True)}
        probabilities[arm] = tuple(np.asarray(row, dtype=np.float64) for row in outputs["token_p"])
        if arm == TEACHER:
            tokens = tuple(tuple(str(token) for token in row) for row in outputs["token_text"])
    return AnswersView(pd.DataFrame(columns), arms, tokens, probabilities)
