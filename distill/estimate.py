"""How long a run will take on this machine, and what it needs. An estimate: rates of earlier runs here, or documented defaults.

A stage's time is a fixed part plus its arithmetic divided by a rate. The arithmetic of one token through one encoder layer is
2 · (4 h² + 2 h i) operations (h hidden, i inner width; attention itself is small for short texts); training takes three times as much
as reading (Kaplan et al. 2020, "Scaling Laws for Neural Language Models", section 2.1). The rate is what this machine reached.
No torch is needed here: shapes are read from config.json and the safetensors header.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.arms.sources import arm_seeds
from distill.endpoint.outlook import REMOTE, outlook_of
from distill.errors import HeirloomError, PackError, StoreError
from distill.files import read_json, write_json
from distill.plugins import ARMS, StageContext
from distill.provenance import hardware, stage_seconds
from distill.spec import LANGUAGE_MODELS, ArmSpec, RunSpec, StudentSpec, TeacherSpec
from distill.store import ModelCard, Run
from distill.workspace import Workspace

# Operations per second and phase on 2 cores of an AMD EPYC with avx512_bf16 (the demo run of November 2026): the default of a machine
# that has not run anything yet. Another machine is within a factor of 3 of it; its first run replaces these.
DEFAULT_RATES = {"fine_tune": 2.2e11, "label": 3.0e11, "train": 3.0e11, "predict": 1.4e11, "write": 7.0e10}
FIXED = {
    "data": 4.0,
    "teacher": 6.0,
    "labels": 1.0,
    "student": 1.0,
    "model": 0.5,
    "timings": 5.0,
    "memory": 6.0,
    "audit": 20.0,
}
WORTH_MEASURING = 2.0  # seconds below which a rate says more of the start-up than of the machine
TRAINING = 3.0
SINGLE = 0.35  # share of the rate that is left when texts come one by one
TOKENS_PER_WORD = 1.4
SPECIAL_TOKENS = 2
CHAT_TOKENS = 30  # what a chat template adds, the default system prompt included
ITEMS = 6_000  # sentences that the shipped checks ask for, roughly
RESAMPLE = 1e-3  # seconds of audit per resample


@dataclass(frozen=True)
class Shape:
    """Size of an encoder, as far as time and memory depend on it."""

    layers: int
    hidden: int
    inner: int
    parameters: int

    @property
    def operations(self) -> float:
        """Operations of one token."""
        return 2.0 * self.layers * (4 * self.hidden**2 + 2 * self.hidden * self.inner)

    def with_layers(self, layers: int) -> Shape:
        """The same width with fewer layers."""
        removed = (self.layers - layers) * (4 * self.hidden**2 + 2 * self.hidden * self.inner)
        return Shape(layers, self.hidden, self.inner, max(1, self.parameters - removed))


BASE = Shape(12, 768, 3072, 110_000_000)  # BERT-base: assumed where a model is not on this machine yet


@dataclass(frozen=True)
class Estimate:
    """What a run needs.

    Attributes:
        seconds: in all; ``parts`` by stage.
        labels: synthetic labels at most (fewer are asked where a cache has them).
        disk_bytes: of run and cache.
        memory_bytes: largest need of the process.
        spend: USD paid to others; 0 for models on this machine.
        measured: True when rates of this machine stand behind it.
    """

    seconds: float
    parts: dict[str, float]
    labels: int
    disk_bytes: int
    memory_bytes: int
    spend: float
    measured: bool


def local_folder(source: str) -> Path | None:
    """The directory of a model source when it is on this machine: a path or a pack; None for a hub id. Raises PackError."""
    if source.startswith("pack:"):
        from distill.data.packs import model_dir

        return Path(model_dir(source.removeprefix("pack:")))
    folder = Path(source).expanduser()
    return folder if folder.is_dir() else None


def gguf_file(source: str) -> Path | None:
    """The GGUF file of a model source on this machine: the file itself, or the only one in its directory; None where there is none."""
    path = Path(source).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return path
    folder = local_folder(source)
    found = sorted(folder.glob("*.gguf")) if folder else []
    return found[0] if len(found) == 1 else None


@functools.lru_cache(maxsize=8)
def _gguf_shape(path: Path) -> Shape | None:
    """The shape that a GGUF file's own metadata give."""
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
        kind = str(reader.fields["general.architecture"].contents())
        layers, hidden, inner = (
            int(reader.fields[f"{kind}.{name}"].contents())
            for name in ("block_count", "embedding_length", "feed_forward_length")
        )
    except (KeyError, OSError, TypeError, ValueError):
        return None
    return Shape(layers, hidden, inner, sum(int(tensor.n_elements) for tensor in reader.tensors))


def shape_of(source: str) -> Shape | None:
    """The shape of a model on this machine; None when it is elsewhere or its configuration does not say."""
    try:
        packed = gguf_file(source)
        if packed is not None:
            return _gguf_shape(packed)
        folder = local_folder(source)
        config = read_json(folder / "config.json") if folder else {}
        hidden = int(config.get("hidden_size") or config.get("dim") or 0)
        layers = int(config.get("num_hidden_layers") or config.get("n_layers") or 0)
        inner = int(config.get("intermediate_size") or config.get("hidden_dim") or 4 * hidden)
        weights = sorted(folder.glob("*.safetensors")) if folder else []
    except (PackError, StoreError, AttributeError, TypeError, ValueError):
        return None
    if not hidden or not layers:
        return None
    return Shape(layers, hidden, inner, sum(_parameters(path) for path in weights))


def _parameters(path: Path) -> int:
    """Numbers in a safetensors file, from its header."""
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        entries = json.loads(handle.read(length)) if 0 < length < path.stat().st_size else {}
    shapes = [entry["shape"] for name, entry in entries.items() if name != "__metadata__"]
    total = 0
    for shape in shapes:
        size = 1
        for side in shape:
            size *= int(side)
        total += size
    return total


def teacher_shape(spec: RunSpec, runs: Path) -> Shape | None:
    """The teacher's shape, ``runs`` being where a student of an earlier run would lie; None when it is a file of predictions or elsewhere; BERT-base when it has to be fetched first."""
    if spec.teacher.kind == "predictions" or spec.teacher.kind in REMOTE:
        return None
    return known_teacher(spec.teacher, runs) or BASE


def known_teacher(teacher: TeacherSpec, runs: Path | None = None) -> Shape | None:
    """The shape of a teacher that is a model on this machine; None where it has to be fetched first or is no model here."""
    options = teacher.options
    if teacher.kind == "predictions" or teacher.kind in REMOTE:
        return None
    if teacher.kind == "student":
        from distill.teachers.student import StudentOptions, student_card

        try:
            card = student_card(runs or Workspace.default().runs, StudentOptions.model_validate(options))
        except HeirloomError:
            return None
        return shape_of(str(card.model_dir))
    return shape_of(str(options.get("source") or options.get("base") or ""))


def student_shape(student: StudentSpec, teacher: Shape | None) -> Shape:
    """A student's shape before it exists."""
    if student.init == "checkpoint":
        return shape_of(str(student.checkpoint)) or BASE
    layers = student.layers if isinstance(student.layers, int) else len(student.layers)
    base = teacher or BASE
    return base.with_layers(min(layers, base.layers))


def estimate(spec: RunSpec, workspace: Workspace, splits: dict[str, int], words: float, items: int = ITEMS) -> Estimate:
    """What ``spec`` needs on this machine.

    Args:
        spec: the run.
        workspace: where it would lie; its cache has the rates.
        splits: rows of each split, from the data report.
        words: median words of a text (of both texts of a pair together).
        items: sentences that the checks will ask for.
    """
    rates, measured = read_rates(workspace.cache)
    tokens = min(float(spec.signals.max_tokens), TOKENS_PER_WORD * words + SPECIAL_TOKENS)
    written = 0  # tokens of one answer, at most
    if spec.task == LANGUAGE_MODELS:
        written = spec.asking.max_new_tokens
        tokens = min(float(spec.asking.max_prompt_tokens), TOKENS_PER_WORD * words + CHAT_TOKENS) + written
    teacher = teacher_shape(spec, workspace.runs)
    asks = any("signals" in ARMS.get(arm.kind).needs for arm in spec.arms) or spec.review.required
    labels = min(spec.signals.max_labels, splits.get("pool", 0)) if asks else 0
    models = _models(spec, teacher)
    parts = {"data": FIXED["data"] + sum(splits.values()) / 10_000}
    if spec.teacher.kind == "fine_tuned" and teacher:
        reads = int(spec.teacher.options.get("epochs", 2)) * splits.get("train", 0)
        parts["teacher"] = FIXED["teacher"] + TRAINING * reads * tokens * teacher.operations / rates["fine_tune"]
    if labels and teacher:
        parts["labels"] = FIXED["labels"] + labels * tokens * teacher.operations / rates["label"]
        parts["labels"] += labels * written * teacher.operations / rates["write"]
    parts["students"] = sum(
        _training(spec, arm, shape, seeds, splits, labels) * tokens / rates["train"] + FIXED["student"] * seeds
        for arm, shape, seeds in models
    )
    asked = splits.get("dev", 0) + splits.get("test", 0) + items
    every = [*([(teacher, 1)] if teacher else []), *((shape, seeds) for _, shape, seeds in models)]
    parts["predictions"] = sum(
        seeds * (FIXED["model"] + asked * tokens * shape.operations / rates["predict"]) for shape, seeds in every
    )
    answers = splits.get("dev", 0) + splits.get("test", 0)
    parts["predictions"] += sum(seeds * answers * written * shape.operations / rates["write"] for shape, seeds in every)
    candidate = next((shape for arm, shape, _ in models if arm.name == spec.candidate), None)
    if labels and candidate:  # one seed of it is asked about the pool
        parts["predictions"] += FIXED["model"] + labels * tokens * candidate.operations / rates["predict"]
    parts["timings"] = _timings(spec, [shape for shape, _ in every], tokens, rates["predict"])
    parts["audit"] = FIXED["audit"] + RESAMPLE * spec.audit.resamples * len(models)
    disk = sum(4 * shape.parameters * seeds for shape, seeds in every) + 400 * (
        sum(splits.values()) + len(every) * asked
    )
    elsewhere = outlook_of(spec, labels, splits, items, words)
    largest = max((shape.parameters for shape, _ in every), default=0)
    return Estimate(
        seconds=sum(parts.values()),
        parts={stage: round(seconds, 1) for stage, seconds in parts.items()},
        labels=labels,
        disk_bytes=disk,
        memory_bytes=500_000_000 + 20 * largest + 1_000 * sum(splits.values()),
        spend=elsewhere.usd if elsewhere else 0.0,
        measured=measured,
    )


def _models(spec: RunSpec, teacher: Shape | None) -> list[tuple[ArmSpec, Shape, int]]:
    """Every arm with a model: its shape, and how many seeds of it are made."""
    found = []
    for arm in spec.arms:
        seeds = len(arm_seeds(spec, arm))
        if arm.options.get("predictions"):
            continue
        given = arm.options.get("checkpoint")
        shape = (shape_of(str(given)) or BASE) if given else student_shape(spec.student_of(arm), teacher)
        found.append((arm, shape, seeds))
    return found


def _training(spec: RunSpec, arm: ArmSpec, shape: Shape, seeds: int, splits: dict[str, int], labels: int) -> float:
    """Operations per token-length of all trainings of an arm, dev checks included."""
    needs = ARMS.get(arm.kind).needs
    if "seeds" not in needs or not arm.options.get("recover", True):
        return 0.0
    training = spec.training_of(arm)
    rows = splits.get("train", 0) if "human_labels" in needs else labels
    reads = training.epochs * min(rows, training.max_texts or rows)
    checks = training.epochs * training.checks_per_epoch * splits.get("dev", 0)
    return seeds * (TRAINING * reads + checks) * shape.operations


def _timings(spec: RunSpec, shapes: list[Shape], tokens: float, rate: float) -> float:
    """Latency rounds and throughput passes on one thread and on all, and a process for the memory of each architecture."""
    latency = spec.audit.latency
    per_token = sum(shape.operations for shape in shapes)
    single = 2 * latency.rounds * per_token * tokens / (SINGLE * rate)
    passes = 2 * 3 * len(latency.batch_sizes) * latency.texts * per_token * tokens / (0.7 * rate)
    return FIXED["timings"] + single + passes + FIXED["memory"] * len(set(shapes))


def read_rates(cache: Path) -> tuple[dict[str, float], bool]:
    """Operations per second by phase on this machine, and whether any of them was measured here."""
    path = cache / "rates.json"
    try:
        stored = read_json(path).get(_machine(), {}) if path.exists() else {}
        found = {phase: float(stored[phase]) for phase in DEFAULT_RATES if float(stored.get(phase, 0)) > 0}
    except (HeirloomError, AttributeError, TypeError, ValueError):
        found = {}  # a damaged file of rates costs an estimate its accuracy and nothing else
    return {**DEFAULT_RATES, **found}, bool(found)


def record_rates(context: StageContext) -> None:
    """Learn from a run that just went through: what rate each phase reached. The newest run counts half."""
    found = measured_rates(context.run)
    if not found:
        return
    path = context.cache / "rates.json"
    before, _ = read_rates(context.cache)
    everything: dict[str, Any] = {}
    if path.exists():
        try:
            everything = dict(read_json(path))
        except (StoreError, TypeError, ValueError):
            everything = {}
    known = everything.get(_machine(), {})
    mixed = {phase: (rate + before[phase]) / 2 if phase in known else rate for phase, rate in found.items()}
    write_json(path, {**everything, _machine(): {**known, **mixed}})


def measured_rates(run: Run) -> dict[str, float]:
    """Operations per second of the phases that this run went through itself and that took long enough to tell.

    A run of language models teaches nothing here: its stages read, write and score items in one, and what it took would be taken for the
    rate of reading alone (a tiny one made the next estimate 128 hours).
    """
    if run.spec.task == LANGUAGE_MODELS:
        return {}
    report = run.json("data")
    words = report.get("lengths", {}).get("words", {}).get("p50", 0) + report.get("pair_lengths", {}).get(
        "words", {}
    ).get("p50", 0)
    tokens = min(float(run.spec.signals.max_tokens), TOKENS_PER_WORD * words + SPECIAL_TOKENS)
    teacher, cards, seconds = run.teacher, run.cards(), stage_seconds(run)
    spent: dict[str, list[tuple[float, float]]] = {}

    def add(phase: str, card: ModelCard, texts: float, took: float) -> None:
        shape = shape_of(card.model_dir) if card.model_dir else None
        if shape and texts and took > 0:
            spent.setdefault(phase, []).append((texts * tokens * shape.operations, took))

    if teacher.train_seconds and seconds.get("teacher", 0) > teacher.train_seconds:
        add("fine_tune", teacher, TRAINING * teacher.epochs_run * teacher.trained_on, teacher.train_seconds)
    labels = _summary(run, "labels")
    if not labels.get("reused"):
        add("label", teacher, labels.get("asked", 0), seconds.get("labels", 0) - FIXED["labels"])
    for card in cards:
        if card.train_seconds:
            dev = len(run.examples.part("dev")) * run.spec.training_of(run.spec.arm(card.name)).checks_per_epoch
            reads = TRAINING * float(card.extra.get("texts_seen", 0)) + dev * card.epochs_run
            add("train", card, reads, card.train_seconds)
    predictions = _summary(run, "predictions")
    for card in cards:
        took = predictions.get("model_seconds", {}).get(f"{card.name}/{card.seed}", 0)
        add("predict", card, predictions.get("texts", 0), took - FIXED["model"])
    sums = {phase: (sum(o for o, _ in pairs), sum(s for _, s in pairs)) for phase, pairs in spent.items()}
    return {phase: operations / took for phase, (operations, took) in sums.items() if took >= WORTH_MEASURING}


def _summary(run: Run, stage: str) -> dict[str, Any]:
    path = run.folder / "stages" / f"{stage}.json"
    return dict(read_json(path)) if path.exists() else {}


def _machine() -> str:
    machine = hardware()
    return f"{machine['cpu']}, {machine['cores']} cores" + (f", {machine['gpus'][0]}" if machine["gpus"] else "")
