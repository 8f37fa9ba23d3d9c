"""A whole plausible finished run of the task 'generation' without any model: the file contract of language models, for checks and pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from distill import events
from distill.files import digest_of, write_json, write_text
from distill.spec import RunSpec
from distill.store import TEACHER, ModelCard, Run
from distill.types import Examples, Floats, Strings, content_id, write_frame

RUN_ID = "20260102-120000-fakelm"
ARMS: tuple[str, ...] = ("token_kl", "undistilled", "sequence")
_TOPICS = ("rivers", "bread", "planets", "gardens", "trains", "music", "weather", "bridges")
_ASKS = ("Explain {} in one sentence.", "Name three facts about {}.", "Why do people like {}?", "Write a line on {}.")
_WORDS = [
    "the",
    "a",
    "of",
    "to",
    "and",
    "in",
    "is",
    "it",
    "that",
    "water",
    "people",
    "time",
    "light",
    "long",
    "small",
    "old",
    "new",
    "great",
    "near",
    "far",
    "warm",
    "cold",
    "green",
    "stone",
    "wood",
    "road",
    "house",
    "work",
    "day",
    "year",
    "hand",
    "world",
    "life",
    "part",
    "place",
    "case",
    "week",
    "company",
    "system",
    "program",
    "question",
    "government",
    "number",
    "night",
    "point",
    "home",
    "room",
    "area",
    "money",
    "story",
    "fact",
    "month",
    "lot",
    "right",
    "study",
    "book",
    "eye",
    "job",
    "word",
    "business",
    "issue",
    "side",
]


@dataclass(frozen=True)
class LanguageLevel:
    """How an arm differs: share of the teacher's tokens that it would choose, KL (nats) a token, milliseconds a token, size."""

    agrees: float
    kl: float
    ms: float = 6.0
    size: float = 0.55


LEVELS: dict[str, LanguageLevel] = {
    TEACHER: LanguageLevel(1.0, 0.0, ms=11.0, size=1.0),
    "token_kl": LanguageLevel(0.78, 0.35),
    "on_policy": LanguageLevel(0.8, 0.3),
    "sequence": LanguageLevel(0.7, 0.55),
    "undistilled": LanguageLevel(0.08, 7.0),
    "given": LanguageLevel(0.6, 0.9),
}
# (items, arm, seed) -> log-likelihood of each item in nats, shape [n]
Likelihood = Callable[[pd.DataFrame, str, int], Floats]
Answer = Callable[[str, str, int], str]


def make_fake_generation_run(
    root: Path,
    *,
    n_test: int = 120,
    n_dev: int = 40,
    n_pool: int = 160,
    seeds: Sequence[int] = (1,),
    arms: Sequence[str | dict[str, Any]] = ARMS,
    seed: int = 0,
    references: bool = True,
    with_items: bool = False,
    likelihood: Likelihood | None = None,
    answer: Answer | None = None,
    timings: bool = True,
    models: bool = True,
    levels: Mapping[str, LanguageLevel] | None = None,
    spec: Mapping[str, Any] | None = None,
    run_id: str = RUN_ID,
    audit: bool = False,
) -> Run:
    """Write a finished run of language models below the workspace folder ``root`` and return it.

    Args:
        references: give every prompt a reference answer.
        with_items: collect what the checks ask for and answer it too.
        likelihood: log-likelihoods of the items in place of noise; NaN where an item is to be continued.
        answer: ``(prompt, arm, seed) -> text`` for the test prompts in place of noise.
        models: False makes a run of answers only: the teacher elsewhere, no divergence, no timings.
        levels: overrides of LEVELS, by arm name or kind.
        spec: further top-level keys of the RunSpec.
        audit: also write audit.json.
    """
    rng = np.random.default_rng(seed)
    run = Run(root / "runs" / run_id)
    run.folder.mkdir(parents=True)
    made = _spec(arms, seeds, references, dict(spec or {}))
    write_text(run.folder / "spec.yaml", made.to_yaml())
    examples = _examples(rng, (n_pool, n_dev, n_test), references)
    examples.write(run.folder / "examples.parquet")
    known = {**LEVELS, **(levels or {})}
    write_json(run.folder / "data.json", {"rows": len(examples), "splits": {"test": n_test}, "labels": []})
    write_json(run.folder / "teacher.json", _card(run, TEACHER, "local_lm", None, known, models).model_dump())
    written = {row: _sentence(rng) for row in examples.ids}
    write_frame(run.folder / "labels.parquet", _labels(examples, written, made))
    for arm, kind, number in _members(made):
        card = _card(run, arm, kind, number, known, models)
        write_json(run.arm_folder(arm, number) / "arm.json", card.model_dump())
    for arm, kind, number in [(TEACHER, TEACHER, 0), *_members(made)]:
        for part in ("dev", "test"):
            rows = examples.part(part)
            frame = _answers(rng, rows, written, _level(arm, kind, known), models)
            if answer is not None:
                frame["answer"] = [answer(text, arm, number) for text in rows.texts]
            if arm == TEACHER:
                frame["token_text"] = [written[row].split() for row in rows.ids]
            write_frame(run.prediction_path(arm, number, part), frame)
    if with_items:
        fake_items(run, made, rng, likelihood)
    if timings and models:
        write_frame(run.folder / "timings.parquet", _timings(made, rng, known))
    run.append(events.Queued(by="fake"))
    if audit:
        from auditor.audit import audit_run

        audit_run(run)
    run.write_manifest()
    return run


def make_small_generation_run(root: Path) -> Run:
    """A finished, audited run whose checks ask a few items each: what reports and bundles are tried on."""
    checks = {
        "lm_bias": {"items": 220, "sets": ["winobias"], "resamples": 200},
        "lm_choice": {"items": 20, "sets": ["piqa"]},
        "lm_stereotypes": {"items": 20, "resamples": 200},
        "lm_honest": {"items": 20, "resamples": 200},
    }
    spec = {"audit": {"resamples": 200, "checks": checks}}
    return make_fake_generation_run(root, n_test=30, n_pool=20, with_items=True, audit=True, spec=spec)


def fake_items(run: Run, spec: RunSpec, rng: np.random.Generator, likelihood: Likelihood | None = None) -> None:
    """items.parquet and every model's answers to it."""
    from auditor.audit import collect_items

    items = collect_items(spec, run.examples)
    write_frame(run.folder / "items.parquet", items)
    asked = np.array([json.loads(meta).get("generate", False) for meta in items["meta"]], dtype=bool)
    tokens = np.array([max(1, len(str(pair or "").split())) for pair in items["pair"]], dtype=np.int64)
    base = -2.6 * tokens + rng.normal(size=len(items))
    for arm, _, seed in [(TEACHER, TEACHER, 0), *_members(spec)]:
        if likelihood is not None:
            loglik = np.asarray(likelihood(items, arm, seed), dtype=np.float64)
        else:
            loglik = base + (0.0 if arm == TEACHER else 0.3) * rng.normal(size=len(items))
        frame = pd.DataFrame(
            {
                "item_id": items["item_id"],
                "loglik": np.where(asked, np.nan, loglik),
                "tokens": np.where(asked, 0, tokens),
                "bytes": [len(str(pair or "").encode()) for pair in items["pair"]],
                "greedy": rng.random(len(items)) < 0.1,
                "answer": [_sentence(rng) if one else None for one in asked],
            }
        )
        write_frame(run.prediction_path(arm, seed, "items"), frame)


def _spec(
    arms: Sequence[str | dict[str, Any]], seeds: Sequence[int], references: bool, over: dict[str, Any]
) -> RunSpec:
    columns = {"text": "text", "pair": "reference" if references else None, "groups": ["domain"]}
    data = {"source": {"kind": "file", "path": "prompts.jsonl"}, "columns": columns, "language": "en"}
    value: dict[str, Any] = {
        "name": "prompts · half of the layers",
        "task": "generation",
        "data": {**data, **over.pop("data", {})},
        "arms": list(arms),
        "seeds": list(seeds),
        "audit": {
            "resamples": 1_000,
            "latency": {"rounds": 8, "batch_sizes": [1, 4], "texts": 16},
            **over.pop("audit", {}),
        },
    }
    return RunSpec.model_validate({**value, **over})


def _examples(rng: np.random.Generator, sizes: tuple[int, int, int], references: bool) -> Examples:
    n = sum(sizes)
    topics = rng.choice(np.array(_TOPICS, dtype=object), size=n)
    texts = [f"{_ASKS[i % len(_ASKS)].format(topics[i])} #{i}" for i in range(n)]
    pairs = [_sentence(rng) if references else None for _ in range(n)]
    frame = pd.DataFrame(
        {
            "row_id": [f"r{i:06d}" for i in range(n)],
            "content_id": [content_id(text) for text in texts],
            "text": texts,
            "pair": pd.Series(pairs, dtype=object),
            "label": np.full(n, -1, dtype=np.int64),
            "split": np.repeat(np.array(["pool", "dev", "test"], dtype=object), sizes),
            "group_domain": np.where(np.isin(topics, _TOPICS[:4]), "nature", "culture").astype(object),
        }
    )
    return Examples(frame, ())


def _sentence(rng: np.random.Generator) -> str:
    return " ".join(rng.choice(np.array(_WORDS), size=int(rng.integers(6, 24))))


def _members(spec: RunSpec) -> list[tuple[str, str, int]]:
    once = {"undistilled", "given"}
    return [
        (arm.name, arm.kind, seed) for arm in spec.arms for seed in (spec.seeds[:1] if arm.kind in once else spec.seeds)
    ]


def _level(name: str, kind: str, levels: Mapping[str, LanguageLevel]) -> LanguageLevel:
    return levels.get(name) or levels.get(kind) or LanguageLevel(0.6, 0.8)


def _answers(
    rng: np.random.Generator, rows: Examples, written: Mapping[str, str], level: LanguageLevel, models: bool
) -> pd.DataFrame:
    """What one model wrote to ``rows``, and how it would have written the teacher's answer."""
    records: list[dict[str, Any]] = []
    for row in rows.ids:
        words = written[row].split()
        same = rng.random(len(words)) < level.agrees
        kl = rng.gamma(0.5, 2 * level.kl, size=len(words)) if level.kl else np.zeros(len(words))
        p = np.where(same, rng.uniform(0.4, 0.95, len(words)), rng.uniform(0.001, 0.3, len(words)))
        said = [word if keep else str(rng.choice(_WORDS)) for word, keep in zip(words, same, strict=True)]
        records.append(
            {
                "row_id": row,
                "answer": " ".join(said),
                "answer_tokens": len(said),
                "finish": "length" if rng.random() < 0.1 else "stop",
                "forced_tokens": len(words),
                "kl_sum": float(kl.sum()) if models else float("nan"),
                "agree_sum": int(same.sum()),
                "nll_sum": float(-np.log(p).sum()),
                "token_p": p.astype(np.float32),
                "token_kl": (kl if models else np.full(len(words), np.nan)).astype(np.float32),
            }
        )
    return pd.DataFrame(records)


def _labels(examples: Examples, written: Mapping[str, str], spec: RunSpec) -> pd.DataFrame:
    pool = examples.part("pool")
    answers: Strings = np.array([written[row] for row in pool.ids], dtype=object)
    lengths = np.array([len(answer.split()) for answer in answers], dtype=np.int64)
    frame = pool.frame[["row_id", "content_id", "text", "pair"]].reset_index(drop=True)
    return frame.assign(
        answer=answers,
        teacher_answer=answers,
        corrected=False,
        answer_tokens=lengths,
        finish="stop",
        confidence=np.linspace(0.3, 0.9, len(frame)),
        entropy=np.linspace(2.0, 0.4, len(frame)),
        sample=0,
        synthetic=True,
        teacher_id="packs/smollm2",
        teacher_version="1",
        licence="Apache-2.0",
        weights_digest=digest_of([TEACHER, None]),
        tokenizer_digest=digest_of("tokenizer"),
        labelled_at="2026-01-02T12:00:30.000+00:00",
        versions="torch 2.13, transformers 5.23",
        generation=0,
        sampling=json.dumps({"temperature": spec.asking.temperature, "top_p": spec.asking.top_p}),
    )


def _card(
    run: Run, name: str, kind: str, seed: int | None, levels: Mapping[str, LanguageLevel], models: bool
) -> ModelCard:
    level = _level(name, kind, levels)
    where = run.folder / "teacher" if name == TEACHER else run.arm_folder(name, seed or 0) / "model"
    trained = name != TEACHER and kind not in {"undistilled", "given"}
    return ModelCard(
        name=name,
        kind=kind,
        seed=seed,
        id="packs/smollm2" if name == TEACHER else f"{name}-{seed}",
        version="1",
        licence="Apache-2.0",
        weights_digest=digest_of([name, seed]),
        tokenizer_digest=digest_of("tokenizer"),
        layers=30 if name == TEACHER else 15,
        parameters=round(134_500_000 * level.size) if models else None,
        bytes=round(538_000_000 * level.size) if models else None,
        model_dir=str(where) if models else None,
        trained_on=160 if trained else 0,
        train_seconds=40.0 if trained and models else 0.0,
        epochs_run=2.0 if trained else 0.0,
        extra={"vocabulary": 49_152},
    )


def _timings(spec: RunSpec, rng: np.random.Generator, levels: Mapping[str, LanguageLevel]) -> pd.DataFrame:
    """Raw rounds of a first token, of the tokens after it, and of whole batches; noise hits all arms of a round alike."""
    latency = spec.audit.latency
    members = [(TEACHER, TEACHER, 0), *((arm.name, arm.kind, spec.seeds[0]) for arm in spec.arms)]
    rows: list[dict[str, Any]] = []
    for threads in (1, 2):
        for turn in range(latency.rounds):
            busy = float(rng.lognormal(0.0, 0.15))
            for arm, kind, seed in members:
                ms = _level(arm, kind, levels).ms * (1.0 if threads == 1 else 0.7) * busy
                for mode, tokens, times in (("first_token", 1, 4.0), ("per_token", 16, 16.0)):
                    seconds = ms * times / 1e3 * float(rng.lognormal(0, 0.05))
                    rows.append(_timing(arm, seed, mode, threads, 1, turn, tokens, seconds))
    for batch in latency.batch_sizes:
        for turn in range(3):
            for arm, kind, seed in members:
                tokens = 16 * batch
                seconds = tokens * _level(arm, kind, levels).ms * 0.7 / batch**0.6 / 1e3 * float(rng.lognormal(0, 0.05))
                rows.append(_timing(arm, seed, "throughput", 2, batch, turn, tokens, seconds))
    return pd.DataFrame(rows)


def _timing(
    arm: str, seed: int, mode: str, threads: int, batch: int, turn: int, tokens: int, seconds: float
) -> dict[str, Any]:
    return {
        "arm": arm,
        "seed": seed,
        "mode": mode,
        "threads": threads,
        "batch": batch,
        "round": turn,
        "tokens": tokens,
        "seconds": seconds,
        "device": "cpu",
    }
