"""What can be wrong with language models and their answers: each is said in a sentence, and nothing is guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill.engine.vocabulary import difference
from distill.events import Note
from distill.stages import run_stages
from distill.stages.generation.labels import _say, _summary
from distill.types import read_frame
from distill.writing import Answers, Written
from tests.distill.tiny import make_context
from tests.distill.tiny_lm import tiny_generation_spec, tiny_lm


def said(tmp_path: Path, written: list[Written]) -> str:
    context, seen = make_context(tmp_path, tiny_generation_spec(tmp_path, tmp_path))
    answers = Answers(written, tmp_path, asked=len(written), reused=0)
    _say(context, len(written), answers, _summary(answers))
    return " ".join(event.message for event in seen if isinstance(event, Note))


def test_empty_answers_are_counted_and_not_learnt(tmp_path: Path) -> None:
    words = said(tmp_path, [Written("", "empty", 0), Written("yes", "stop", 2), Written("no", "stop", 2)])
    assert "1 answers are empty; students do not learn from them." in words


def test_an_end_token_that_never_comes_is_said(tmp_path: Path) -> None:
    words = said(tmp_path, [Written("and so on", "length", 8), Written("and on", "length", 8)])
    assert "the teacher's end token never comes" in words and "will not learn to stop" in words
    words = said(tmp_path, [Written("and so on", "length", 8), Written("done", "stop", 2)])
    assert "1 answers were cut at" in words and "never comes" not in words


def test_answers_without_log_probabilities_are_sequence_level(tmp_path: Path) -> None:
    assert "have no log-probabilities" in said(tmp_path, [Written("yes", "stop", 2)])


def padded(folder: Path, rows: int, **options: Any) -> Path:
    """A tiny model whose embedding has ``rows`` more rows than its tokenizer has tokens, as models of one family are padded differently."""
    from transformers import AutoModelForCausalLM

    tiny_lm(folder, **options)
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(model.config.vocab_size + rows, mean_resizing=False)
    if rows:
        model.get_input_embeddings().weight.data[-rows:] = 0.0  # nothing was ever learnt there
    model.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("theirs", "mine"), [(0, 128), (128, 0)])
def test_embeddings_padded_to_other_sizes_share_a_vocabulary(tmp_path: Path, theirs: int, mine: int) -> None:
    """Such as 151,936 and 152,064 rows around one tokenizer: the same tokens, so the distributions may be compared."""
    teacher = padded(tmp_path / "teacher", theirs)
    student = padded(tmp_path / "student", mine, layers=2, seed=1)
    spec = tiny_generation_spec(
        tmp_path, teacher, student={"init": "checkpoint", "checkpoint": str(student)}, arms=["token_kl"]
    )
    context, _ = make_context(tmp_path, spec)
    assert run_stages(context, until="predictions") == "done"
    frame = read_frame(context.run.prediction_path("token_kl", 1, "test"))
    kl = frame["kl_sum"].to_numpy(dtype=np.float64)
    assert np.isfinite(kl).all() and (kl > 0).all()


def test_tokenizers_that_look_alike_and_are_not(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    one, other = (AutoTokenizer.from_pretrained(tiny_lm(tmp_path / str(v), vocabulary=v)) for v in (320, 290))
    assert difference(one, one) is None
    assert "for the teacher and" in str(difference(one, other))
