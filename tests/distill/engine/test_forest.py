"""Trees of texts hold every text once, and a state in a tree is the state in the text alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.engine import score
from distill.engine.forest import Tree, ancestors, batch_of, plant
from distill.engine.language_model import LanguageModel
from tests.distill.tiny_lm import WORDS, tiny_lm

TEXTS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=12), min_size=0, max_size=25)


@settings(max_examples=60, deadline=None)
@given(texts=TEXTS, nodes=st.sampled_from([0, 8, 20, 192]))
def test_every_text_is_found_along_its_path(texts: list[list[int]], nodes: int) -> None:
    rows = [np.asarray(text, dtype=np.int32) for text in texts]
    trees = plant(rows, nodes)
    assert sorted(row for tree in trees for row in tree.rows) == list(range(len(rows)))
    for tree in trees:
        for row, path in zip(tree.rows, tree.paths, strict=True):
            np.testing.assert_array_equal(tree.ids[path], rows[row])
            np.testing.assert_array_equal(tree.depths[path], np.arange(len(path)))
            np.testing.assert_array_equal(tree.parents[path[1:]], path[:-1])
            seen = ancestors(tree, len(tree) + 2)[path[-1]]
            assert set(np.flatnonzero(seen)) == set(path.tolist())
        assert len(tree) <= max(nodes, 2 * len(tree.paths[0]), max(map(len, tree.paths)))


def test_sharing_leaves_less_to_read() -> None:
    question = list(range(10, 40))
    trees = plant([np.asarray([*question, option, 7], dtype=np.int32) for option in range(4)])
    assert len(trees) == 1 and len(trees[0]) == 30 + 4 * 2


def test_states_in_a_tree_are_those_of_the_text_alone(tmp_path: Path) -> None:
    model = LanguageModel(tiny_lm(tmp_path / "lm"), "fp32")
    texts = [np.asarray([5, 6, 7, 8, 9, *tail], dtype=np.int32) for tail in ([1], [1, 4], [2, 3, 3], [11])]
    (tree,) = plant(texts)
    assert isinstance(tree, Tree)
    with torch.inference_mode():
        states = model.forward.states(*batch_of([tree], torch.device("cpu")))[0]
        for row, path in zip(tree.rows, tree.paths, strict=True):
            alone = model.forward.states(torch.from_numpy(texts[row].astype(np.int64))[None])[0]
            torch.testing.assert_close(states[torch.from_numpy(path)], alone, atol=1e-5, rtol=1e-5)


def test_likelihoods_are_the_same_with_and_without_sharing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModel(tiny_lm(tmp_path / "lm"), "fp32")
    contexts = [" ".join(WORDS[: 3 + row % 4]) for row in range(40)]
    continuations = [" " + WORDS[row % 14] + " " + WORDS[row % 3] for row in range(40)]
    shared = score.log_likelihoods(model, contexts, continuations)
    monkeypatch.setattr(score, "NODES", 0)
    alone = score.log_likelihoods(model, contexts, continuations)
    np.testing.assert_allclose([one.loglik for one in shared], [one.loglik for one in alone], atol=1e-4)
    assert [one.greedy for one in shared] == [one.greedy for one in alone]
