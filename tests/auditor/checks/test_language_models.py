"""The checks of language models on fake runs: formulas against sums by hand, what is paired, what is skipped, what cannot be fooled."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.audit import audit_run
from auditor.bias.lm_pairs import shares_of_women
from auditor.check import CHECKS, AuditInput, checks_of
from auditor.items import check_items, collect_items
from auditor.stats.proportions import wilson
from auditor.types import CheckResult
from distill.errors import SpecError
from distill.store import TEACHER, Run
from distill.types import Examples, Floats, read_frame, write_frame
from tests.auditor.checks.helpers import one, result_of, value
from tests.fakes import make_fake_run
from tests.fakes_generation import LanguageLevel, make_fake_generation_run

SMALL: dict[str, Any] = {
    "lm_bias": {"items": 40, "sets": ["winobias", "bbq_gender"], "resamples": 300},
    "lm_choice": {"items": 20, "sets": ["piqa", "hellaswag", "commonsenseqa", "asdiv"]},
    "lm_stereotypes": {"items": 300, "resamples": 300},
    "lm_honest": {"items": 20, "resamples": 300},
}


def rewrite(run: Run, arm: str, part: str, **columns: Any) -> None:
    """Replace columns of an arm's predictions."""
    path = run.prediction_path(arm, 0 if arm == TEACHER else 1, part)  # type: ignore[arg-type]
    write_frame(path, read_frame(path).assign(**columns))


def with_items(root: Path, likelihood: Any = None, **more: Any) -> Run:
    spec = {"audit": {"checks": {**SMALL, **more.pop("checks", {})}}}
    return make_fake_generation_run(
        root, n_test=40, n_pool=20, with_items=True, likelihood=likelihood, spec=spec, **more
    )


def test_each_task_has_its_own_checks(tmp_path: Path) -> None:
    language = {result.name for result in audit_run(make_fake_generation_run(tmp_path / "a", n_test=20)).results}
    classes = {result.name for result in audit_run(make_fake_run(tmp_path / "b", n_test=40)).results}
    assert {"lm_fidelity", "lm_bias", "size", "gates"} <= language and "quality" not in language
    assert {"quality", "size"} <= classes and not any(name.startswith("lm_") for name in classes)
    assert {entry.name for entry in checks_of("generation")} == language - {"gates"}
    spec = make_fake_run(tmp_path / "c", spec={"audit": {"checks": {"lm_bias": {}}}}).spec
    with pytest.raises(SpecError, match="not for the task"):
        collect_items(spec, make_fake_run(tmp_path / "d").examples)


def test_figures_a_token_are_sums_over_sums(tmp_path: Path) -> None:
    run = make_fake_generation_run(tmp_path)
    frame = read_frame(run.prediction_path("token_kl", 1, "test"))
    result = result_of(run, "lm_fidelity")
    tokens = frame["forced_tokens"].sum()
    assert value(one(result, "token_agreement", "token_kl")) == pytest.approx(frame["agree_sum"].sum() / tokens)
    assert value(one(result, "kl_divergence", "token_kl")) == pytest.approx(frame["kl_sum"].sum() / tokens)
    perplexity = value(one(result, "perplexity_on_teacher", "token_kl"))
    assert perplexity == pytest.approx(math.exp(frame["nll_sum"].sum() / tokens))
    better = one(result, "kl_over_control", "token_kl")
    assert better.detail["word"] == "better" and better.high is not None and better.high < 0
    removed = one(result, "kl_removed", "token_kl", "against=undistilled")
    other = read_frame(run.prediction_path("undistilled", 1, "test"))
    assert value(removed) == pytest.approx(100 * (1 - frame["kl_sum"].sum() / other["kl_sum"].sum()))


def test_the_same_arm_twice_differs_by_nothing(tmp_path: Path) -> None:
    run = make_fake_generation_run(tmp_path)
    source = run.prediction_path("token_kl", 1, "test").read_bytes()
    run.prediction_path("sequence", 1, "test").write_bytes(source)
    change = one(result_of(run, "lm_fidelity"), "kl_over_control", "token_kl")
    assert (change.value, change.low, change.high, change.detail["word"]) == (0, 0, 0, "equivalent")


def test_a_teacher_elsewhere_and_an_arm_with_nan(tmp_path: Path) -> None:
    run = make_fake_generation_run(tmp_path, models=False)
    rewrite(run, "sequence", "test", nll_sum=np.nan)
    result = result_of(run, "lm_fidelity")
    assert not any(m.name == "kl_divergence" for m in result.measures)
    assert any("'sequence' hold NaN" in f.claim for f in result.findings)
    assert not any(m.arm == "sequence" for m in result.measures)
    assert value(one(result, "token_agreement", "token_kl")) > 0.5


def test_an_arm_that_learnt_nothing_is_named(tmp_path: Path) -> None:
    run = make_fake_generation_run(tmp_path, levels={"token_kl": LanguageLevel(0.0, 9.0)})
    found = [f for f in result_of(run, "lm_fidelity").findings if f.severity == "serious"]
    assert len(found) == 1 and "commonest token would do as well" in found[0].claim


def test_answers_against_references_and_teacher(tmp_path: Path) -> None:
    run = make_fake_generation_run(tmp_path)
    rewrite(run, "token_kl", "test", answer=list(run.examples.part("test").frame["pair"]))
    result = result_of(run, "lm_answers")
    assert value(one(result, "exact_match", "token_kl", "reference")) == 1
    assert value(one(result, "rouge_l", "token_kl", "reference")) == 1
    assert one(result, "answer_difference", "token_kl", "rouge_l, reference").detail["word"] == "better"
    assert not [m for m in result.measures if (m.arm, m.group) == (TEACHER, TEACHER)]
    bare = result_of(make_fake_generation_run(tmp_path / "bare", references=False), "lm_answers")
    assert {m.group for m in bare.measures if m.name == "rouge_l"} == {TEACHER}
    assert any("no prompt has a reference" in f.claim.lower() for f in bare.findings)


def test_the_same_prompt_asked_often_is_no_more_evidence(tmp_path: Path) -> None:
    """Every prompt ten times, with the same answer each time: the interval is that of the prompts, not of the rows."""
    run = make_fake_generation_run(tmp_path, n_test=100)
    examples = run.examples
    frame = examples.frame.copy()
    rows = frame.index[frame["split"] == "test"]
    frame.loc[rows, "content_id"] = [f"prompt-{place % 10}" for place in range(len(rows))]
    Examples(frame, examples.labels).write(run.folder / "examples.parquet")
    texts = list(run.examples.part("test").frame["pair"])
    answers = [text if place % 10 < 5 else "nothing of the kind" for place, text in enumerate(texts)]
    rewrite(run, "token_kl", "test", answer=answers)
    found = one(result_of(run, "lm_answers"), "exact_match", "token_kl", "reference")
    assert value(found) == pytest.approx(0.5) and found.n == 100
    assert found.detail["effective_n"] <= 10
    assert found.low is not None and found.low < wilson(50, 100).low - 0.1


def test_degeneration_is_seen(tmp_path: Path) -> None:
    run = make_fake_generation_run(tmp_path)
    n = len(run.examples.part("test"))
    turning = "I think that the people of this town would like to have a new bridge. " * 4
    texts = [turning] * (n - 20) + [""] * 10
    texts += ["Ich weiß nicht, was soll es bedeuten, dass ich so traurig bin"] * 10
    rewrite(run, "token_kl", "test", answer=texts, finish=["length"] * (n - 20) + ["empty"] * 10 + ["stop"] * 10)
    result = result_of(run, "lm_degeneration")
    assert value(one(result, "empty_rate", "token_kl")) == pytest.approx(10 / n)
    assert value(one(result, "truncated_rate", "token_kl")) == pytest.approx((n - 20) / n)
    # 60 words have 57 runs of four, 15 of them different; the ten German answers repeat nothing
    assert value(one(result, "repetition_rate", "token_kl")) == pytest.approx((n - 20) / (n - 10) * (1 - 15 / 57))
    assert value(one(result, "language_switch_rate", "token_kl")) == pytest.approx(10 / (n - 10), abs=0.02)
    assert one(result, "degeneration_change", "token_kl", "repetition_rate").detail["word"] == "worse"


def test_latency_and_cost_are_those_planted(tmp_path: Path) -> None:
    run = make_fake_generation_run(tmp_path)
    latency, cost = result_of(run, "lm_latency"), result_of(run, "lm_cost")
    speedup = one(latency, "latency_speedup", "token_kl")
    assert value(speedup) == pytest.approx(11 / 6, rel=0.1) and speedup.low is not None and speedup.low > 1
    timings = run.folder / "timings.parquet"
    frame = read_frame(timings)
    mine = frame[(frame["arm"] == "token_kl") & (frame["mode"] == "throughput") & (frame["batch"] == 4)]
    rates = mine["tokens"] / mine["seconds"]
    rate = value(one(latency, "tokens_per_s", "token_kl", "batch=4"))
    assert rate == pytest.approx(math.exp(np.log(rates).mean()))
    price = one(cost, "cost_per_1k_tokens", "token_kl")
    assert value(price) == pytest.approx(price.detail["per_hour"] / 3600 / rate * 1000)
    assert value(one(cost, "cost_saving", "token_kl")) == pytest.approx(100 * (1 - 6 / 11), abs=8)


def test_choices_are_scored_as_the_harness_does(tmp_path: Path) -> None:
    run = with_items(tmp_path)
    items = check_items(read_frame(run.folder / "items.parquet"), "lm_choice")
    loglik = read_frame(run.prediction_path("token_kl", 1, "items"))["loglik"].to_numpy()
    result = result_of(run, "lm_choice")
    plain, normed = [], []
    for _, question in items[items["set"] == "piqa"].groupby("number"):
        values = loglik[question["position"]]
        right = int(question["right"].iloc[0])
        # lm_eval.api.task.ConfigurableTask.process_results: acc and acc_norm
        length = np.array([float(len(text.removeprefix(" "))) for text in question["pair"]])
        plain.append(float(np.argmax(values) == right))
        normed.append(float(np.argmax(values / length) == right))
    assert value(one(result, "choice_accuracy", "token_kl", "set=piqa")) == pytest.approx(np.mean(plain))
    assert value(one(result, "choice_accuracy_norm", "token_kl", "set=piqa")) == pytest.approx(np.mean(normed))
    assert not [m for m in result.measures if (m.name, m.group) == ("choice_accuracy", "set=hellaswag")]
    assert one(result, "choice_agreement", "token_kl", "set=hellaswag").n == 20
    assert one(result, "choice_accuracy", "token_kl", "set=commonsenseqa").detail["chance"] == pytest.approx(0.2)


def pronoun_bias(strength: dict[str, float], female: int = 1) -> Any:
    """Likelihoods in which an arm prefers the sentence about a woman by so many nats, and the rest is alike."""

    def likelihood(items: pd.DataFrame, arm: str, seed: int) -> Floats:
        rng = np.random.default_rng(5)
        side = np.array([json.loads(meta).get("side") for meta in items["meta"]], dtype=object)
        noise = rng.normal(scale=0.3, size=len(items)) - 20
        sign = np.where(side == "female", 0.5, np.where(side == "male", -0.5, 0.0)) * female
        return np.asarray(noise * 1.0 + sign * strength.get(arm, 0.0), dtype=np.float64)

    return likelihood


def many(checks: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"lm_bias": {"items": 240, "sets": ["winobias"], "resamples": 400}, **(checks or {})}


def bias_of(root: Path, strength: dict[str, float]) -> CheckResult:
    return result_of(with_items(root, pronoun_bias(strength), checks=many()), "lm_bias")


def test_identical_models_are_equivalent_and_the_primary_set_stands_for_all(tmp_path: Path) -> None:
    result = bias_of(tmp_path, {TEACHER: 1.0, "token_kl": 1.0, "sequence": 1.0})
    change = one(result, "gender_bias_change", "token_kl")
    assert (change.value, change.low, change.high, change.detail["verdict"]) == (0, 0, 0, "equivalent")
    whole, part = (one(result, "gender_bias", TEACHER, group) for group in (None, "set=winobias"))
    assert whole.value == part.value and value(whole) == pytest.approx(0.5 * math.tanh(0.5), abs=0.03)


def test_planted_bias_is_amplified_and_exchange_turns_the_sign(tmp_path: Path) -> None:
    strength = {TEACHER: 0.4, "token_kl": 1.6, "sequence": 0.4}
    result = bias_of(tmp_path, strength)
    change = one(result, "gender_bias_change", "token_kl")
    assert change.detail["verdict"] == "amplified" and (change.low or 0) > 0
    added = one(result, "gender_bias_added_by_distillation", "token_kl")
    assert added.detail["verdict"] == "amplified"
    assert any(f.severity == "warning" and "WinoBias" in f.claim for f in result.findings)
    signed = value(one(result, "gender_bias_signed", "token_kl"))
    swapped = with_items(tmp_path / "swapped", pronoun_bias(strength, female=-1), checks=many())
    assert value(one(result_of(swapped, "lm_bias"), "gender_bias_signed", "token_kl")) == pytest.approx(
        -signed, abs=0.02
    )


def test_an_untrained_model_is_not_called_fair(tmp_path: Path) -> None:
    result = bias_of(tmp_path, {TEACHER: 1.5, "undistilled": 0.0})
    run = with_items(
        tmp_path / "b", pronoun_bias({TEACHER: 1.5}), checks=many(), levels={"undistilled": LanguageLevel(0.0, 9.0)}
    )
    change = one(result_of(run, "lm_bias"), "gender_bias_change", "undistilled")
    assert change.detail["verdict"] == "cannot tell" and "not fairness" in change.detail["reason"]
    assert one(result, "perplexity", "undistilled", "set=winobias").value is not None


def test_few_pairs_decide_nothing(tmp_path: Path) -> None:
    run = with_items(tmp_path, pronoun_bias({TEACHER: 0.2, "token_kl": 2.0}))
    change = one(result_of(run, "lm_bias"), "gender_bias_change", "token_kl")
    assert change.low is None and change.detail["verdict"] == "cannot tell" and "too few" in change.detail["reason"]


def test_crows_pairs_gives_the_published_share(tmp_path: Path) -> None:
    """GPT-2 prefers the stereotype in 149 of 262 gender pairs (lm-evaluation-harness): planted, the share is that, 0.5687."""

    def likelihood(items: pd.DataFrame, arm: str, seed: int) -> Floats:
        meta = [json.loads(text) for text in items["meta"]]
        crows = [m["pair_number"] for m in meta if m.get("set") == "crows_pairs" and m["side"] == "stereotype"]
        wins = set(crows[:149])
        up = [m.get("set") == "crows_pairs" and m["side"] == "stereotype" and m["pair_number"] in wins for m in meta]
        down = [
            m.get("set") == "crows_pairs" and m["side"] == "stereotype" and m["pair_number"] not in wins for m in meta
        ]
        meaning = [{"unrelated": -9.0}.get(m.get("side", ""), 0.0) for m in meta]
        return np.asarray(-30.0 + np.array(up) - np.array(down) + np.array(meaning), dtype=np.float64)

    result = result_of(with_items(tmp_path, likelihood), "lm_stereotypes")
    share = one(result, "stereotype_share", TEACHER, "set=crows_pairs")
    assert share.n == 262 and value(share) == pytest.approx(149 / 262)
    assert any("disputed" in f.claim for f in result.findings)


def test_bbq_scores_follow_the_paper(tmp_path: Path) -> None:
    def stereotyped(items: pd.DataFrame, arm: str, seed: int) -> Floats:
        meta = [json.loads(text) for text in items["meta"]]
        says = [m.get("side") == ("female" if m.get("stereotype", 0) > 0 else "male") for m in meta]
        return np.asarray(-5.0 + np.array(says, dtype=np.float64))

    result = result_of(with_items(tmp_path, stereotyped), "lm_bias")
    assert value(one(result, "bbq_bias_score", TEACHER, "ambiguous")) == 1  # always biased, never right
    assert value(one(result, "bbq_accuracy", TEACHER, "ambiguous")) == 0
    assert value(one(result, "bbq_bias_score", TEACHER, "disambiguated")) == 1


def test_hurtful_completions_are_counted_by_gender(tmp_path: Path) -> None:
    run = with_items(tmp_path)
    items = check_items(read_frame(run.folder / "items.parquet"), "lm_honest")
    frame = read_frame(run.prediction_path("token_kl", 1, "items"))
    answers = frame["answer"].to_numpy(dtype=object).copy()
    for place, gender in zip(items["position"], items["gender"], strict=True):
        answers[place] = "prostitute. And a nurse." if gender == "female" else "lawyer. Stupid."
    rewrite(run, "token_kl", "items", answer=answers)
    result = result_of(run, "lm_honest")
    assert value(one(result, "hurtful_rate", "token_kl", "language=en, gender=female")) == 1
    assert value(one(result, "hurtful_rate", "token_kl", "language=en, gender=male")) == 0
    assert value(one(result, "hurtful_gap", "token_kl", "language=en")) == 1
    assert one(result, "hurtful_rate_change", "token_kl", "language=en").detail["word"] == "worse"
    rate = one(result, "hurtful_rate", "token_kl", "language=en, gender=female")
    assert rate.detail["effective_n"] < rate.n  # beginnings of one template count less than as many templates


def test_without_items_they_are_skipped_with_a_reason(tmp_path: Path) -> None:
    run = make_fake_generation_run(tmp_path, n_test=20)
    for name in ("lm_bias", "lm_choice", "lm_stereotypes", "lm_honest"):
        assert result_of(run, name).skipped
    assert CHECKS.get("lm_bias").tasks == {"generation"}


def test_a_torn_file_is_named(tmp_path: Path) -> None:
    run = make_fake_generation_run(tmp_path, n_test=20)
    path = run.prediction_path("token_kl", 1, "test")
    write_frame(path, read_frame(path).iloc[:-3])
    result = result_of(run, "lm_fidelity")
    assert result.skipped and "lacks 3 of 20 rows" in result.skipped
    assert AuditInput(run).outputs(TEACHER, 0).shape[0] == 20


def test_preference_that_follows_the_share_of_women_is_a_correlation(tmp_path: Path) -> None:
    shares = shares_of_women().set_index("occupation")["share_women"]

    def follows(items: pd.DataFrame, arm: str, seed: int) -> np.ndarray:
        meta = [json.loads(one) for one in items["meta"]]
        share = np.array([shares.get(str(one.get("word", "")).lower(), 0.5) for one in meta], dtype=float)
        side = np.array([{"female": 1.0, "male": -1.0}.get(one.get("side"), 0.0) for one in meta])
        return np.asarray(-3.0 + (0.0 if arm == "undistilled" else 1.0) * side * (share - 0.5))

    checks = {"lm_bias": {"items": 400, "sets": ["winobias", "winogender"], "resamples": 400}}
    result = result_of(with_items(tmp_path, follows, checks=checks), "lm_bias")
    found = {(m.arm, m.group): m for m in result.measures if m.name == "stereotype_association"}
    assert found[TEACHER, "set=winogender"].value == pytest.approx(1.0, abs=0.02)
    assert found["token_kl", None].value == pytest.approx(found["token_kl", "set=winobias"].value)
    assert found["undistilled", None].value is None and "same for every" in found["undistilled", None].detail["problem"]
    rows = pd.DataFrame(result.tables["occupations"])
    assert set(rows["set"]) == {"winobias", "winogender"} and rows["share_women"].between(0, 1).all()
