"""Where a run's knowledge comes from: the graph of runs, the chain of generations, and what must stay in a run to be verified later.

Generation 0 is the teacher from outside; generation n is the student of the n-th run of a chain. When a run is audited while its parents
are on disk, generation 0's test predictions are copied to predictions/origin/0.test.parquet and the chain is written to
stages/origin.json, so that `verify` recomputes the check 'generations' without any parent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from distill.errors import HeirloomError
from distill.files import read_json, write_json
from distill.store import TEACHER, Run, RunStore
from distill.types import ClassSignal, Strings

ORIGIN = "origin"
STUDENT = "student"
Link = Literal["parent", "teacher"]


@dataclass(frozen=True)
class Node:
    """One run of a family.

    Attributes:
        run: its id; ``name`` is empty when the run is gone or cannot be read.
        generation: of its students: 1 where the teacher came from outside; None when unknown.
        parent, teacher: ids of the runs that it follows from, and whose student teaches it.
    """

    run: str
    name: str = ""
    status: str = ""
    generation: int | None = None
    parent: str | None = None
    teacher: str | None = None


@dataclass(frozen=True)
class Family:
    """Everybody that a run is related to; ``sentences`` say what is wrong: a cycle, a deleted parent, a spec that cannot be read."""

    nodes: Mapping[str, Node]
    sentences: tuple[str, ...] = ()
    edges: tuple[tuple[str, str, Link], ...] = field(default=())


def teacher_run(run: Run) -> str | None:
    """Id of the run whose student teaches ``run``."""
    teacher = run.spec.teacher
    return str(teacher.options.get("run")) if teacher.kind == STUDENT else None


def family(store: RunStore, run_id: str) -> Family:
    """The runs that ``run_id`` descends from and those that descend from it, by parent or teacher; never raises for a damaged one."""
    known, bad = _all_nodes(store)
    found, todo = {run_id}, [run_id]
    while todo:
        here = todo.pop()
        node = known.get(here, Node(here))
        related = {one for one in (node.parent, node.teacher) if one}
        related |= {other.run for other in known.values() if here in (other.parent, other.teacher)}
        todo += sorted(related - found)
        found |= related
    nodes = {one: known.get(one, Node(one)) for one in sorted(found)}
    links: list[tuple[str, str, Link]] = []
    for node in nodes.values():
        if node.teacher:
            links.append((node.teacher, node.run, "teacher"))
        if node.parent and node.parent != node.teacher:
            links.append((node.parent, node.run, "parent"))
    gone = [f"Run {one} was deleted or is not here; what follows from it remains." for one in nodes if one not in known and one not in bad]  # fmt: skip
    sentences = [*(bad[one] for one in nodes if one in bad), *gone, *_cycles(nodes)]
    return Family(nodes, tuple(sentences), tuple(links))


def _all_nodes(store: RunStore) -> tuple[dict[str, Node], dict[str, str]]:
    nodes, bad = {}, {}
    for run in store.all():
        try:
            spec = run.spec
            generation = _generation(run)
            nodes[run.id] = Node(run.id, spec.name, run.status(), generation, spec.parent, teacher_run(run))
        except HeirloomError as error:
            bad[run.id] = f"Run {run.id} cannot be read: {error.message}"
    return nodes, bad


def _generation(run: Run) -> int | None:
    try:
        return int(run.teacher.extra.get("generation", 0)) + 1
    except (HeirloomError, OSError, TypeError, ValueError):
        return None


def _cycles(nodes: Mapping[str, Node]) -> list[str]:
    """One sentence for each ring of runs that follow from one another."""
    told: list[set[str]] = []
    for start in nodes:
        path, here = [start], nodes[start]
        while (before := here.teacher or here.parent) in nodes and before not in path:
            path.append(str(before))
            here = nodes[str(before)]
        if before == start and not any(start in ring for ring in told):
            told.append(set(path))
    return [f"The runs {', '.join(sorted(ring))} follow from one another in a circle, so their generations mean nothing." for ring in told]  # fmt: skip


def chain(store: RunStore, run_id: str) -> tuple[list[Run], str]:
    """The runs from generation 1 to ``run_id``, teacher by teacher, and why the chain begins late (empty when it does not)."""
    runs, seen, problem = [store.get(run_id)], {run_id}, ""
    while (before := teacher_run(runs[0])) is not None:
        if before in seen:
            return runs, f"the run {before} is its own ancestor"
        try:
            earlier = store.get(before)
            _ = earlier.spec
        except HeirloomError:
            return runs, f"the run {before} was deleted or cannot be read"
        seen.add(before)
        runs.insert(0, earlier)
    return runs, problem


def keep_origin(run: Run, store: RunStore) -> None:
    """Copy what the check 'generations' needs from the run's ancestors, when they are here; an existing copy is left alone."""
    path = run.folder / "stages" / f"{ORIGIN}.json"
    if teacher_run(run) is None or (path.exists() and not read_json(path).get("reason")):
        return
    runs, problem = chain(store, run.id)
    first = runs[0]
    kept = read_json(first.folder / "stages" / f"{ORIGIN}.json") if _has_origin(first) else None
    about: dict[str, Any] = {"chain": [*(kept["chain"] if kept else []), *(_link(one) for one in runs[:-1])]}
    if problem and kept is None:
        write_json(path, {**about, "reason": problem})
        return
    name, source = (ORIGIN, kept["run"]) if kept else (TEACHER, first.id)
    try:
        signal = first.prediction(name, 0)
    except HeirloomError as error:
        write_json(path, {**about, "reason": f"generation 0 has no predictions: {error.message}"})
        return
    reason = _differs(run, signal, first)
    if reason:
        write_json(path, {**about, "reason": reason})
        return
    signal.write(run.prediction_path(ORIGIN, 0, "test"))
    write_json(path, {**about, "run": source, "reason": ""})


def _has_origin(run: Run) -> bool:
    return teacher_run(run) is not None and run.prediction_path(ORIGIN, 0, "test").exists()


def _differs(run: Run, signal: ClassSignal, first: Run) -> str:
    mine = run.examples
    if mine.labels != first.examples.labels:
        return f"run {first.id} has other labels"
    return unlike(signal.ids, mine.part("test").ids, first.id)


def unlike(first: Strings, second: Strings, name: str) -> str:
    """Why two sets of test rows cannot be compared; empty when they are the same."""
    a, b = set(first.tolist()), set(second.tolist())
    if a == b:
        return ""
    return f"the test rows differ from those of run {name}: {len(a & b):,} are in both, of {len(b):,} here and {len(a):,} there"


def _link(run: Run) -> dict[str, Any]:
    """A generation that a later one rests on: which it is, and how many human labels its student saw beyond those of generation 0."""
    return {"run": run.id, "generation": _generation(run), "human_labels": human_labels_added(run)}


def human_labels_added(run: Run) -> int:
    """Human labels that the candidate of ``run`` learnt from: people's corrections of the synthetic labels, and labels of its own."""
    summary = run.folder / "stages" / "labels.json"
    corrected = int(read_json(summary).get("corrected", 0)) if summary.exists() else 0
    own = max((card.human_labels for card in run.cards() if card.name == run.spec.candidate), default=0)
    return corrected + own


def origin_of(run: Run) -> dict[str, Any]:
    """What :func:`keep_origin` wrote; empty for a run whose teacher came from outside or was never audited with its parents."""
    path = run.folder / "stages" / f"{ORIGIN}.json"
    return dict(read_json(path)) if path.exists() else {}


def label_entropy(labels: np.ndarray[Any, np.dtype[np.int64]], k: int) -> float:
    """Entropy in nats of how often each of ``k`` labels is given: 0 when it is always the same, log k when all are alike."""
    share = np.bincount(labels.ravel(), minlength=k) / labels.size
    return float(-(share[share > 0] * np.log(share[share > 0])).sum())
