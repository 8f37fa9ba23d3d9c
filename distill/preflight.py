"""What is checked before anything costs time, and what a run will need. Runs in the Streamlit process: no torch, no model is loaded."""

from __future__ import annotations

import functools
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import psutil

from distill.endpoint.outlook import REMOTE, look, options_of, outlook_of
from distill.errors import HeirloomError, nearest
from distill.estimate import ITEMS, Estimate, Shape, estimate, gguf_file, local_folder, shape_of, teacher_shape
from distill.files import canonical_json
from distill.model_files import has_tokenizer
from distill.plugins import ARMS
from distill.spec import LANGUAGE_MODELS, ArmSpec, DataSpec, FileSource, RunSpec
from distill.teachers.base import model_labels
from distill.token_signals import expected_bytes
from distill.types import Examples
from distill.workspace import Workspace

if TYPE_CHECKING:
    from distill.data.build import DataResult

State = Literal["ok", "warn", "fail"]
FEW_TEST_ROWS = 200
LONG_RUN = 2 * 3600.0


@dataclass(frozen=True)
class PreflightItem:
    """One thing that was checked: how it stands, a sentence, and what to do when it does not stand well."""

    state: State
    sentence: str
    hint: str = ""


@dataclass(frozen=True)
class Preflight:
    """All items, and the estimate where the data could be read."""

    items: list[PreflightItem] = field(default_factory=list)
    estimate: Estimate | None = None

    @property
    def ok(self) -> bool:
        """True when nothing speaks against starting."""
        return all(item.state != "fail" for item in self.items)


def preflight(spec: RunSpec, workspace: Workspace, *, items: int = ITEMS) -> Preflight:
    """Check ``spec`` on this machine; nothing is raised and nothing is written.

    Args:
        spec: the run that somebody wants to start.
        workspace: where it would lie.
        items: sentences that the audit's checks will ask for, for the estimate.
    """
    found: list[PreflightItem] = []
    data = _guard(found, lambda: _data(spec))
    if data is None:
        return Preflight(found)
    examples = data.examples
    found += _about_data(data, spec)
    found += list(_guarded(lambda: _about_teacher(spec, workspace, examples)))
    shape = teacher_shape(spec, workspace.runs)
    for arm in spec.arms:
        found += list(_guarded(lambda arm=arm: _about_arm(spec, arm, examples, shape)))  # type: ignore[misc]
    found += list(_about_audit(spec, examples))
    splits = {str(name): int(n) for name, n in examples.frame["split"].value_counts().items()}
    needed = estimate(spec, workspace, splits, _median_words(data.report), items)
    if spec.teacher.kind in REMOTE:
        found += list(_guarded(lambda: _about_endpoint(spec, needed, splits, _median_words(data.report), items)))
    if spec.task == LANGUAGE_MODELS:
        found += list(_about_signals(spec, needed))
    found += list(_about_machine(needed, workspace))
    return Preflight(found, needed)


def _guard(found: list[PreflightItem], work: Callable[[], Any]) -> Any:
    """The result of ``work``; None, and a failed item, when it raises."""
    try:
        return work()
    except HeirloomError as error:
        found.append(PreflightItem("fail", error.message, error.hint))
        return None


def _guarded(work: Callable[[], Iterator[PreflightItem]]) -> list[PreflightItem]:
    """All items of ``work``; its error becomes the last one."""
    found: list[PreflightItem] = []
    try:
        found += list(work())
    except HeirloomError as error:
        found.append(PreflightItem("fail", error.message, error.hint))
    return found


# -- data ---------------------------------------------------------------------------------------------------------------


def _data(spec: RunSpec) -> DataResult:
    """The rows as the data stage will see them; kept in memory until the file or the spec's part changes."""
    source = spec.data.source
    stamp: tuple[int, ...] = ()
    if isinstance(source, FileSource):
        path = Path(source.path).expanduser()
        stamp = (path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else ()
    return _built(canonical_json(spec.data.model_dump(mode="json")), spec.task, stamp)


@functools.lru_cache(maxsize=2)
def _built(data: str, task: str, stamp: tuple[int, ...]) -> DataResult:
    from distill.data.build import build_examples

    return build_examples(DataSpec.model_validate_json(data), task=task)


def _about_data(data: DataResult, spec: RunSpec) -> Iterator[PreflightItem]:
    from distill.stages.flow import task_of

    report, examples = data.report, data.examples
    splits = report["splits"]
    # a teacher that writes is not trained here
    parts = _PARTS if examples.labels else (("pool", "for the teacher to answer"), *_PARTS[2:])
    pool = examples.part("pool")
    once = len(set(pool.frame["content_id"]))
    named = [
        (part, f"{word} ({once:,} distinct)" if part == "pool" and once < len(pool) else word) for part, word in parts
    ]
    dealt = ", ".join(f"{int(splits.get(part, 0)):,} {word}" for part, word in named)
    yield PreflightItem("ok", f"{len(examples):,} rows can be read: {dealt}.")
    for sentence in data.notes:
        yield PreflightItem("warn", sentence, _HINTS.get(_kind_of(sentence), ""))
    if report.get("conflicting"):
        yield PreflightItem(
            "warn",
            f"{report['conflicting']:,} texts stand more than once with labels that contradict each other.",
            "They bound what any model can reach; correct them in the source if you can.",
        )
    labelled = examples if examples.labels else Examples(examples.frame, ("a", "b"))
    yield from _guarded(lambda: (PreflightItem("warn", sentence) for sentence in task_of(spec.task).validate(labelled)))
    yield from _cut_texts(report, spec)


_PARTS = (("train", "to train the teacher"), ("pool", "for the teacher to label"), ("dev", "dev"), ("test", "test"))
_HINTS = {
    "personal": "Set data.personal_data to 'mask' or 'drop' if the teacher must not see them.",
    "repeat": "Nothing to do: they are removed so that the test stays honest.",
}


def _kind_of(sentence: str) -> str:
    if "personal data" in sentence:
        return "personal"
    return "repeat" if "repeat a test or dev row" in sentence else ""


def _median_words(report: dict[str, Any], percentile: str = "p50") -> float:
    """Words of a text (of both texts of a pair) at a percentile."""
    return sum(float(report.get(name, {}).get("words", {}).get(percentile, 0)) for name in ("lengths", "pair_lengths"))


def _cut_texts(report: dict[str, Any], spec: RunSpec) -> Iterator[PreflightItem]:
    """A word is 1.4 tokens on average, so texts are cut from max_tokens / 1.4 words on."""
    writes = spec.task == LANGUAGE_MODELS
    limit = spec.asking.max_prompt_tokens if writes else spec.signals.max_tokens
    if 1.4 * _median_words(report, "p95") > limit:
        share = "Half" if 1.4 * _median_words(report) > limit else "More than one in twenty"
        what, key = ("prompts", "generation.max_prompt_tokens") if writes else ("texts", "signals.max_tokens")
        yield PreflightItem(
            "warn", f"{share} of the {what} are longer than {limit} tokens and are cut.", f"Raise {key}."
        )


# -- teacher and arms ---------------------------------------------------------------------------------------------------


def _about_teacher(spec: RunSpec, workspace: Workspace, examples: Examples) -> Iterator[PreflightItem]:
    kind, options = spec.teacher.kind, spec.teacher.options
    if kind in REMOTE:
        return
    if kind == "student":
        from distill.teachers.student import StudentOptions, student_card

        student_card(workspace.runs, StudentOptions.model_validate(options))
        yield PreflightItem("ok", f"The teacher is the student '{options['arm']}' of run {options['run']}.")
        return
    if kind == "predictions":
        yield from _predictions(str(options["path"]), options, examples, "The teacher's file")
        return
    if kind == "fine_tuned":
        from distill.teachers.fine_tuned import labelled_rows

        rows = labelled_rows(examples)
        counts = np.bincount(rows.y, minlength=len(examples.labels))
        missing = [name for name, n in zip(examples.labels, counts, strict=True) if n == 0]
        if missing:
            yield PreflightItem(
                "warn", f"No row that the teacher learns from has the label '{missing[0]}'.", "It will never say it."
            )
        yield PreflightItem("ok", f"The teacher is fine-tuned on {len(rows):,} human labels.")
    source = str(options.get("source") or options.get("base") or "")
    yield from _model(source, examples, "The teacher", classifier=kind == "checkpoint")


def _about_endpoint(
    spec: RunSpec, needed: Estimate, splits: dict[str, int], words: float, items: int
) -> Iterator[PreflightItem]:
    """Key, server, and what the questions will cost. The checks' own sentences are asked only where there are checks that want some."""
    expected = outlook_of(spec, needed.labels, splits, items, words)
    if expected is not None:
        yield from look(options_of(spec), expected)
    timed = [gate.measure for gate in spec.audit.gates if gate.required and gate.measure.startswith("latency")]
    if timed:
        yield PreflightItem(
            "warn",
            f"The gate on {timed[0]} cannot be decided, because a teacher elsewhere cannot be timed: the verdict will be 'cannot tell'.",
            "Leave that gate out of audit.gates, or make it advisory.",
        )


def _model(source: str, examples: Examples, who: str, *, classifier: bool) -> Iterator[PreflightItem]:
    """A model source: there, whole, safe, and of the same labels."""
    folder = local_folder(source)
    if folder is None:
        if source.startswith((".", "/", "~")):
            yield PreflightItem("fail", f"{who}: there is no model directory '{source}'.", "Check the path.")
        else:
            yield PreflightItem(
                "warn", f"{who} '{source}' is not on this machine and is fetched from the hub.", "A network is needed."
            )
        return
    if gguf_file(source):
        yield PreflightItem("ok", f"{who} '{source}' is on this machine, as a GGUF file.")
        return
    if not list(folder.glob("*.safetensors")):
        yield PreflightItem(
            "fail",
            f"{who} in {source} has no weights in safetensors.",
            "Pickle weights are refused: save the model again with save_pretrained.",
        )
        return
    if not has_tokenizer(folder):
        yield PreflightItem("fail", f"{who} in {source} has no tokenizer.", "Copy tokenizer.json into the directory.")
        return
    if classifier and examples.labels:
        theirs = model_labels(folder)
        unknown = sorted({n.casefold() for n in examples.labels} ^ {n.casefold() for n in theirs})
        if unknown:
            yield PreflightItem(
                "fail",
                f"{who} knows the labels {', '.join(theirs)}; the data have {', '.join(examples.labels)}.",
                f"Map them in data.label_map. {nearest(unknown[0], theirs)}",
            )
            return
        order = "" if tuple(theirs) == examples.labels else ", in another order: they are re-ordered"
        yield PreflightItem("ok", f"{who} and the data have the same labels{order}.")
        return
    yield PreflightItem("ok", f"{who} '{source}' is on this machine.")


def _predictions(path: str, options: dict[str, Any], examples: Examples, who: str) -> Iterator[PreflightItem]:
    """A predictions file: readable, and complete for the test rows."""
    from distill.teachers.predictions import read_predictions

    signal = read_predictions(
        Path(path).expanduser(),
        examples.labels,
        id_column=str(options.get("id", "id")),
        list_column=str(options.get("probabilities", "probs")),
    )
    known, test = set(signal.ids), examples.part("test").ids
    missing = [row for row in test if row not in known]
    if missing:
        yield PreflightItem(
            "fail",
            f"{who} lacks {len(missing):,} of {len(test):,} test rows, the first is '{missing[0]}'.",
            "Give one probability per label for every id.",
        )
    else:
        yield PreflightItem("ok", f"{who} answers all {len(test):,} test rows.")


def _about_arm(spec: RunSpec, arm: ArmSpec, examples: Examples, teacher: Shape | None) -> Iterator[PreflightItem]:
    """What an arm needs and what the run has; a gap skips the arm, or fails the run when it is the candidate."""
    bad: State = "fail" if arm.name == spec.candidate else "warn"
    outcome = "the run cannot be judged" if bad == "fail" else "it will be skipped"
    needs = ARMS.get(arm.kind).needs
    if arm.kind == "given":
        if arm.options.get("predictions"):
            yield from _predictions(str(arm.options["predictions"]), arm.options, examples, f"The file of '{arm.name}'")
        else:
            yield from _model(str(arm.options["checkpoint"]), examples, f"The arm '{arm.name}'", classifier=True)
        return
    student = spec.student_of(arm)
    layers = student.layers if isinstance(student.layers, int) else max(student.layers, default=0) + 1
    gaps = [
        ("human_labels" in needs and not (examples.part("train").y >= 0).any(), "no training row has a human label"),
        ("signals" in needs and not len(examples.part("pool")), "the pool has no text to label"),
        (student.init == "layers" and teacher is None, "there is no model of the teacher to pick layers from"),
        (
            student.init == "layers" and teacher is not None and layers > teacher.layers,
            f"the teacher has {teacher.layers if teacher else 0} layers, not {layers}",
        ),
        (student.init == "checkpoint" and arm.kind == "undistilled", "a checkpoint has no head of the teacher's"),
    ]
    for missing, why in gaps:
        if missing:
            yield PreflightItem(bad, f"The arm '{arm.name}' cannot be made, because {why}: {outcome}.")
            return
    if student.init == "checkpoint" and shape_of(str(student.checkpoint)) is None:
        yield from _model(str(student.checkpoint), examples, f"The student of '{arm.name}'", classifier=False)


# -- audit and machine --------------------------------------------------------------------------------------------------


def _about_audit(spec: RunSpec, examples: Examples) -> Iterator[PreflightItem]:
    test = examples.part("test")
    labelled = int((test.y >= 0).sum()) if len(test) else 0
    n = labelled or len(test)
    if not len(examples.part("dev")):
        yield PreflightItem(
            "warn", "There are no dev rows: no early stopping and no calibration.", "Give split.dev a share."
        )
    if spec.task != "classification":
        return
    if n < FEW_TEST_ROWS:
        points = 100 * 1.96 * math.sqrt(0.25 / max(1, n))
        yield PreflightItem(
            "warn",
            f"With {n:,} test rows an accuracy is known to ± {points:.0f} points: most verdicts will be 'cannot tell'.",
            "Give the test split more rows.",
        )
    positive = spec.data.positive
    if positive and examples.labels and positive not in examples.labels:
        yield PreflightItem(
            "fail", f"The positive label '{positive}' is none of the labels.", nearest(positive, examples.labels)
        )
    if not positive and len(examples.labels) != 2:
        yield PreflightItem(
            "warn", "No label is named as the positive one, so bias by group is not binarised.", "Set data.positive."
        )


def _about_signals(spec: RunSpec, needed: Estimate) -> Iterator[PreflightItem]:
    """What the distributions over tokens will take; nothing where they are not asked for."""
    asking = spec.asking
    k = int(spec.teacher.options.get("top_logprobs", asking.top_k_signals))
    tokens = needed.labels * asking.samples * asking.max_new_tokens
    if not k or not tokens:
        return
    each = expected_bytes(k)
    yield PreflightItem(
        "ok",
        f"The teacher's distributions take about {each:.0f} bytes a token at the {k} most probable: at most {_size(each * tokens)}"
        f" for {needed.labels * asking.samples:,} answers of at most {asking.max_new_tokens} tokens.",
    )


def _about_machine(needed: Estimate, workspace: Workspace) -> Iterator[PreflightItem]:
    free = shutil.disk_usage(workspace.root).free
    state: State = "fail" if free < 1.2 * needed.disk_bytes else "ok"
    yield PreflightItem(
        state,
        f"The run needs about {_size(needed.disk_bytes)} of disk; {_size(free)} are free.",
        "Free some space, or set HEIRLOOM_HOME to a larger disk." if state == "fail" else "",
    )
    memory = psutil.virtual_memory().available
    state = "warn" if memory < needed.memory_bytes else "ok"
    yield PreflightItem(
        state,
        f"The largest model needs about {_size(needed.memory_bytes)} of memory; {_size(memory)} are free.",
        "Use a smaller batch, or close other programs." if state == "warn" else "",
    )
    basis = (
        "from rates measured on this machine"
        if needed.measured
        else "from rates of another machine: within a factor of 3"
    )
    state = "warn" if needed.seconds > LONG_RUN else "ok"
    hint = "Fewer texts, seeds or arms make it shorter." if state == "warn" else ""
    yield PreflightItem(state, f"About {_duration(needed.seconds)}, {basis}.", hint)


def _size(n: float) -> str:
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{max(1, round(n / 1e6))} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
