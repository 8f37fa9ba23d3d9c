"""What a job says while it works: the only channel between trainer, page, command line and tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Stage = Literal["preflight", "data", "teacher", "labels", "review", "students", "predictions", "timings", "audit"]
STAGES: tuple[Stage, ...] = ("data", "teacher", "labels", "review", "students", "predictions", "timings", "audit")


def now() -> str:
    """The present moment as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    at: str = Field(default_factory=now)


class Queued(_Event):
    """A person asked for the run, or for it to go on."""

    kind: Literal["queued"] = "queued"
    by: str = ""


class Started(_Event):
    """A stage begins; ``total`` counts its steps where that is known."""

    kind: Literal["started"] = "started"
    stage: Stage
    total: int | None = None
    note: str = ""


class Progress(_Event):
    """``step`` of ``total`` is done; ``rate`` in ``unit`` per second; ``left`` in seconds; ``spend`` in USD."""

    kind: Literal["progress"] = "progress"
    stage: Stage
    step: int
    total: int | None = None
    rate: float | None = None
    unit: str = ""
    left: float | None = None
    spend: float | None = None
    note: str = ""


class Curve(_Event):
    """One point of a live curve (loss, agreement with the teacher on dev)."""

    kind: Literal["curve"] = "curve"
    arm: str
    seed: int
    step: int
    name: str
    value: float


class Note(_Event):
    """A sentence for the log: something found, dropped, guessed or skipped."""

    kind: Literal["note"] = "note"
    stage: Stage
    level: Literal["info", "warning"] = "info"
    message: str


class Finished(_Event):
    """A stage is done; ``seconds`` of wall time; ``reused`` when its result was already there."""

    kind: Literal["finished"] = "finished"
    stage: Stage
    seconds: float = 0.0
    reused: bool = False
    note: str = ""


class Waiting(_Event):
    """The run stops on purpose until a person has done something."""

    kind: Literal["waiting"] = "waiting"
    stage: Stage
    message: str


class Cancelled(_Event):
    """A person cancelled the run; what is done is kept."""

    kind: Literal["cancelled"] = "cancelled"
    stage: Stage | None = None
    by: str = ""


class Failed(_Event):
    """The run stopped for a reason that ``message`` states and ``hint`` helps to mend."""

    kind: Literal["failed"] = "failed"
    stage: Stage | None = None
    message: str
    hint: str = ""


Event = Annotated[
    Queued | Started | Progress | Curve | Note | Finished | Waiting | Cancelled | Failed, Field(discriminator="kind")
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
