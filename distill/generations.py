"""Distil again: the spec of the run whose teacher is the student of another. Chains go through the queue, one real run a generation."""

from __future__ import annotations

from filelock import FileLock

from distill import jobs
from distill.errors import HeirloomError, ModelError
from distill.spec import RunSpec, StudentSpec, TeacherSpec, parse_spec
from distill.store import ModelCard, Run, RunStore
from distill.workspace import Workspace

KIND = "student"


def next_spec(run: Run, left: int) -> RunSpec:
    """The spec of the generation after ``run``: its candidate's first seed teaches; rows, split, pool and recipe stay.

    Args:
        run: a finished run.
        left: ``generations`` of the new spec: how many more are wanted, itself counted.

    Raises:
        ModelError: the candidate has no model.
    """
    spec = run.spec
    card = next((c for c in run.cards() if c.name == spec.candidate and c.model_dir), None)
    if card is None:
        raise ModelError(
            f"The candidate of run {run.id} has no model, so it cannot teach.", hint="Name a trained arm as candidate."
        )
    generation = int(card.extra.get("generation", 1)) + 1
    stem = spec.name.partition(" · generation ")[0]
    arms = tuple(
        arm if arm.student is None else arm.model_copy(update={"student": _fitting(arm.student, card)})
        for arm in spec.arms
    )
    changes = {
        "name": f"{stem[:100]} · generation {generation}",
        "teacher": TeacherSpec(kind=KIND, options={"run": run.id, "arm": card.name, "seed": card.seed or 0}),
        "student": _fitting(spec.student, card),
        "arms": arms,
        "parent": run.id,
        "label_version": 0,
        "generations": left,
    }
    return parse_spec(spec.model_copy(update=changes).model_dump(mode="json"))


def _fitting(student: StudentSpec, teacher: ModelCard) -> StudentSpec:
    """``student`` with no more layers than its new teacher has; picked ones become as many, spread evenly."""
    if student.init != "layers" or not teacher.layers:
        return student
    wanted = student.layers if isinstance(student.layers, int) else len(student.layers)
    return student.model_copy(update={"layers": min(wanted, teacher.layers)})


def children(workspace: Workspace, run: Run) -> list[Run]:
    """The runs that a student of ``run`` teaches, oldest first; specs that cannot be read are passed over."""
    found = []
    for other in reversed(RunStore(workspace).all()):
        try:
            teacher = other.spec.teacher
        except HeirloomError:
            continue
        if teacher.kind == KIND and teacher.options.get("run") == run.id:
            found.append(other)
    return found


def queue_next(workspace: Workspace, run: Run) -> Run | None:
    """Queue the generation after a finished ``run`` when its spec asks for one that is not there; returns it."""
    if run.spec.generations < 2:
        return None
    # the runner queues it when the run is complete, and so does whoever waits for that at the command line: one of them is first
    with FileLock(run.folder / ".next.lock"):
        if children(workspace, run):
            return None
        made = RunStore(workspace).create(next_spec(run, run.spec.generations - 1))
    jobs.enqueue(workspace, made, by="generations", priority=1)  # a chain goes on before what was queued meanwhile
    return made
