"""A whole run of a tiny language model: files as the contract says, nothing asked twice, edits learnt, bad input said in a sentence."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from distill.engine.memory import MemoryFacts, peak_memory_of_writer
from distill.errors import ModelError, SpecError
from distill.events import Note
from distill.files import read_json
from distill.plugins import StageContext
from distill.spec import load_spec, parse_spec, spec_from_yaml
from distill.stages import run_stages
from distill.stages.generation.labels import signals_folder
from distill.store import Run
from distill.token_signals import read_signals
from distill.types import read_frame, write_frame
from distill.workspace import Workspace
from tests.distill.tiny import context_of, make_context
from tests.distill.tiny_lm import tiny_generation_spec, tiny_lm

ITEMS = pd.DataFrame(
    {
        "item_id": ["a", "b", "c"],
        "check": "some",
        "text": ["the cat", "the cat ", "why cat"],
        "pair": [" dog", "dog", None],
        "meta": ["{}", "{}", '{"generate": true}'],
    }
)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_lm(tmp_path_factory.mktemp("lm") / "teacher")


@pytest.fixture(scope="module")
def done(teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run, list[Any]]:
    """A workspace with a finished run."""
    root = tmp_path_factory.mktemp("run")
    context, seen = make_context(root, tiny_generation_spec(root, teacher))
    with pytest.MonkeyPatch.context() as patch:  # a process with torch for each model takes longer than all the rest
        patch.setattr("distill.engine.memory.peak_memory_of_writer", lambda *_: MemoryFacts(1, 3))
        assert run_stages(context, items=ITEMS) == "done"
    return root, context.run, seen


def notes(seen: list[Any]) -> str:
    return " ".join(event.message for event in seen if isinstance(event, Note))


def test_labels_are_the_review_frame(done: tuple[Path, Run, list[Any]], teacher: Path) -> None:
    root, run, seen = done
    labels = read_frame(run.folder / "labels.parquet")
    assert len(labels) == 30
    expected = {
        "row_id", "content_id", "text", "pair", "answer", "teacher_answer", "corrected", "answer_tokens", "finish",
        "confidence", "entropy", "sample", "synthetic", "teacher_id", "teacher_version", "licence", "weights_digest",
        "tokenizer_digest", "labelled_at", "versions", "generation", "sampling", "template", "filters", "decision", "decided_by",
    }  # fmt: skip
    assert set(labels.columns) == expected
    assert labels["confidence"].between(0, 1).all() and (labels["entropy"] > 0).all()
    assert set(labels["finish"]) <= {"stop", "length", "empty"}
    assert labels["pair"].isna().any()
    folder = signals_folder(run, Workspace(root / "home").cache)
    signals = {signal.row_id: signal for path in folder.glob("*.parquet") for signal in read_signals(path)}
    for content, tokens in zip(labels["content_id"], labels["answer_tokens"], strict=True):
        assert len(signals[f"{content}/0"].answer_ids) == tokens
    assert "bytes a token" in notes(seen) and "Self-test" in notes(seen)
    assert run.teacher.extra["vocabulary"] == json.loads((teacher / "config.json").read_text())["vocab_size"]


def test_predictions_are_as_the_contract_says(done: tuple[Path, Run, list[Any]]) -> None:
    _, run, _ = done
    test = run.examples.part("test")
    teacher = read_frame(run.prediction_path("teacher", 0, "test"))
    assert teacher["kl_sum"].eq(0).all() and teacher["agree_sum"].eq(teacher["forced_tokens"]).all()
    assert [len(text) for text in teacher["token_text"]] == teacher["forced_tokens"].tolist()
    for name in ("token_kl", "sequence", "undistilled"):
        assert len(read_frame(run.prediction_path(name, 1, "test"))) == 20
        assert len(read_frame(run.prediction_path(name, 1, "dev"))) == 10
        frame = read_frame(run.prediction_path(name, 1, "test"))
        np.testing.assert_array_equal(frame["row_id"], test.ids)
        np.testing.assert_array_equal(frame["forced_tokens"], teacher["forced_tokens"])
        assert (frame["kl_sum"] > 0).all() and (frame["agree_sum"] <= frame["forced_tokens"]).all()
        for row in frame.to_dict("records"):
            assert len(row["token_p"]) == len(row["token_kl"]) == row["forced_tokens"]
            assert float(np.sum(row["token_kl"])) == pytest.approx(row["kl_sum"], rel=1e-4, abs=1e-4)
            assert -float(np.log(row["token_p"]).sum()) == pytest.approx(row["nll_sum"], rel=1e-3)


def test_items_are_scored_or_answered(done: tuple[Path, Run, list[Any]]) -> None:
    _, run, _ = done
    frame = read_frame(run.prediction_path("token_kl", 1, "items"))
    assert frame["item_id"].tolist() == ["a", "b", "c"]
    assert frame["loglik"].iloc[0] == pytest.approx(frame["loglik"].iloc[1])  # the space goes to the continuation
    assert np.isnan(frame["loglik"].iloc[2]) and isinstance(frame["answer"].iloc[2], str)
    assert frame["bytes"].tolist() == [4, 3, 0] and pd.isna(frame["answer"].iloc[0])


def test_timings_have_three_modes(done: tuple[Path, Run, list[Any]]) -> None:
    _, run, _ = done
    frame = read_frame(run.folder / "timings.parquet")
    assert set(frame["mode"]) == {"first_token", "per_token", "throughput"}
    assert set(frame["arm"]) == {"teacher", "token_kl", "sequence", "undistilled"}
    assert (frame["seconds"] > 0).all()
    counts = frame.groupby(["mode", "arm"]).size().unstack()
    assert (counts.nunique(axis=1) == 1).all()


def test_cards_say_where_a_student_comes_from(done: tuple[Path, Run, list[Any]]) -> None:
    _, run, _ = done
    cards = {card.name: card for card in run.cards()}
    assert cards["token_kl"].extra["level"] == "token" and cards["sequence"].extra["level"] == "sequence"
    assert cards["token_kl"].extra["generation"] == 1 and cards["undistilled"].extra["generation"] == 0
    assert cards["token_kl"].layers == 2 and cards["token_kl"].extra["picked_layers"] == [0, 3]
    assert cards["token_kl"].labels == ()


def test_a_second_run_asks_nothing_again(done: tuple[Path, Run, list[Any]], teacher: Path) -> None:
    root, run, _ = done
    context, seen = make_context(root, tiny_generation_spec(root, teacher, arms=["undistilled", "sequence"]))
    assert run_stages(context, until="labels") == "done"
    assert "0 asked now, 30 reused" in notes(seen)
    first, second = (read_frame(one.folder / "labels.parquet")["answer"] for one in (run, context.run))
    pd.testing.assert_series_equal(first, second)


def test_a_resumed_run_keeps_what_is_done(done: tuple[Path, Run, list[Any]], tmp_path: Path) -> None:
    root, run, _ = done
    home = tmp_path / "home"
    shutil.copytree(root / "home", home)
    copy = Run(home / "runs" / run.id)
    before = read_frame(copy.prediction_path("token_kl", 1, "test"))
    copy.prediction_path("token_kl", 1, "test").unlink()
    context, _ = context_of(copy, Workspace(home))
    assert run_stages(context) == "done"
    after = read_frame(copy.prediction_path("token_kl", 1, "test"))
    pd.testing.assert_frame_equal(after, before, atol=1e-5)


def test_edits_are_learnt_and_rejected_answers_are_not(done: tuple[Path, Run, list[Any]], teacher: Path) -> None:
    root, run, _ = done
    spec = tiny_generation_spec(root, teacher, label_version=1, parent=run.id)
    context, _ = make_context(root, spec)
    first = read_frame(run.folder / "labels.parquet")["row_id"].tolist()
    write_frame(
        context.run.folder / "corrections.parquet", pd.DataFrame({"row_id": first[:2], "answer": ["cat dog", ""]})
    )
    assert run_stages(context, until="students") == "done"
    labels = read_frame(context.run.folder / "labels.parquet").set_index("row_id")
    assert labels.loc[first[0], "answer"] == "cat dog" and bool(labels.loc[first[0], "corrected"])
    assert labels.loc[first[0], "teacher_answer"] != "cat dog" and first[1] not in labels.index
    card = next(card for card in context.run.cards() if card.name == "token_kl")
    assert card.trained_on <= 29 and any("learnt as text" in note for note in card.notes)


@pytest.mark.parametrize("arm", ["on_policy", "step_by_step"])
def test_further_arms(arm: str, done: tuple[Path, Run, list[Any]], teacher: Path) -> None:
    root, _, _ = done
    context, _ = make_context(root, tiny_generation_spec(root, teacher, arms=[arm]))
    assert run_stages(context, until="students") == "done"
    (card,) = context.run.cards()
    assert card.kind == arm and card.extra["steps"] > 0
    if arm == "step_by_step":
        assert card.extra["reasons"] > 0 and card.trained_on > 30


def test_samples_and_adapters(done: tuple[Path, Run, list[Any]], teacher: Path) -> None:
    root, _, _ = done
    asking = {"max_new_tokens": 6, "samples": 2, "batch_size": 8, "top_k_signals": 5, "max_prompt_tokens": 64}
    arm = {"kind": "token_kl", "options": {"lora_rank": 2}}
    context, _ = make_context(root, tiny_generation_spec(root, teacher, generation=asking, arms=[arm]))
    assert run_stages(context, until="students") == "done"
    labels = read_frame(context.run.folder / "labels.parquet")
    assert len(labels) == 60 and labels["row_id"].is_unique and set(labels["sample"]) == {0, 1}
    both = labels.groupby("content_id")["answer"].nunique()
    assert (both == 2).mean() > 0.5  # the second sample draws other numbers


def _failing(root: Path, teacher: Path, **over: Any) -> StageContext:
    return make_context(root, tiny_generation_spec(root, teacher, **over))[0]


def test_another_vocabulary_is_refused_or_learnt_as_text(
    teacher: Path, tmp_path: Path, done: tuple[Path, Run, list[Any]]
) -> None:
    root, _, _ = done
    other = tiny_lm(tmp_path / "other", vocabulary=290, layers=2)
    student = {"init": "checkpoint", "checkpoint": str(other)}
    with pytest.raises(ModelError, match="do not share a vocabulary: token"):
        run_stages(_failing(root, teacher, student=student, arms=["token_kl"]), until="students")
    arm = {"kind": "token_kl", "options": {"other_tokenizer": "sequence"}}
    context = _failing(root, teacher, student=student, arms=[arm])
    assert run_stages(context, until="predictions") == "done"
    (card,) = context.run.cards()
    assert card.extra["level"] == "sequence" and any("sequence-level" in note for note in card.notes)
    frame = read_frame(context.run.prediction_path("token_kl", 1, "test"))
    assert frame["kl_sum"].isna().all() and (frame["forced_tokens"] > 0).all()


def test_long_prompts_and_a_missing_template_are_said(tmp_path: Path) -> None:
    bare = tiny_lm(tmp_path / "bare", template=False)
    asking = {"max_new_tokens": 4, "max_prompt_tokens": 8, "batch_size": 8, "top_k_signals": 5}
    context, seen = make_context(tmp_path, tiny_generation_spec(tmp_path, bare, generation=asking))
    assert run_stages(context, until="labels") == "done"
    said = notes(seen)
    assert "no chat template" in said and "lost their beginning" in said


def test_a_spec_of_another_task_is_told_so(tmp_path: Path, teacher: Path) -> None:
    spec = tiny_generation_spec(tmp_path, teacher)
    assert spec_from_yaml(spec.to_yaml()) == spec and spec.candidate == "token_kl"
    value = spec.model_dump(mode="json")
    with pytest.raises(SpecError, match="arm 'hard_label' is not for the task 'generation'"):
        parse_spec({**value, "arms": ["hard_label"]})
    with pytest.raises(SpecError, match="'generation' is for the task"):
        parse_spec({**value, "task": "classification", "teacher": {"kind": "fine_tuned"}, "arms": ["distilled"]})


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own(teacher: Path) -> None:
    facts = peak_memory_of_writer(teacher, ["cat dog", "sun"], {"max_new_tokens": 4, "max_prompt_tokens": 40})
    assert 0 < facts.baseline_bytes <= facts.peak_bytes


@pytest.mark.slow
def test_the_tiny_spec_goes_all_the_way_on_the_real_pack(tmp_path: Path) -> None:
    spec = load_spec(Path(__file__).parents[3] / "specs" / "generation-tiny.yaml")
    context, _ = make_context(tmp_path, spec)
    assert run_stages(context) == "done"
    assert "pache" in context.run.teacher.licence
    teacher = read_frame(context.run.prediction_path("teacher", 0, "test"))
    student = read_frame(context.run.prediction_path("token_kl", 1, "test"))
    bare = read_frame(context.run.prediction_path("undistilled", 1, "test"))
    assert student["kl_sum"].sum() < bare["kl_sum"].sum()
    assert teacher["answer"].str.len().mean() > 20


CHILD = """
import os, signal, sys
from pathlib import Path
import torch
from distill.engine import train_causal
from distill.monitor import Monitor
from distill.stages import run_stages
from distill.store import Run
from distill.workspace import Workspace
from tests.distill.tiny import context_of

torch.set_num_threads(1)
train_causal.train_causal.__kwdefaults__["checkpoint_every_seconds"] = 0.0
context, seen = context_of(Run(Path(sys.argv[1])), Workspace(Path(sys.argv[2])))
plain = context.monitor.emit

def emit(event):
    plain(event)
    if event.kind == "curve" and event.name == "loss" and event.step == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

context.monitor.emit = emit
run_stages(context, until="students")
"""


@pytest.mark.slow
def test_kill_minus_9_in_training_and_resume_gives_the_same_weights(teacher: Path, tmp_path: Path) -> None:
    digests = []
    for place, step in (("killed", 3), ("whole", -1)):
        root = tmp_path / place
        root.mkdir()
        context, _ = make_context(root, tiny_generation_spec(root, teacher, arms=["token_kl"], seeds=[1]))
        home = root / "home"
        command = [sys.executable, "-c", CHILD, str(context.run.folder), str(home)]
        ended = [subprocess.run([*command, str(step)], cwd=Path(__file__).parents[3], check=False).returncode]
        if place == "killed":
            assert ended == [-signal.SIGKILL]
            assert (context.run.arm_folder("token_kl", 1) / "checkpoint").exists()
            ended = [subprocess.run([*command, "-1"], cwd=Path(__file__).parents[3], check=False).returncode]
        assert ended == [0]
        digests.append(context.run.cards()[0].weights_digest)
        assert read_json(context.run.folder / "stages" / "labels.json")["asked"] == 30
    assert digests[0] == digests[1]
