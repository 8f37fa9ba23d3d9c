"""A frontier: every depth × vocabulary × precision as arms of one run, so that they share one labelling pass and the teacher's latency.

    frontier: {depths: [1, 2, 3], vocabulary: [full, trimmed], precision: [fp32, int8]}

becomes the arms d1, d1-trimmed, d1-int8, d1-trimmed-int8, d2 … beside those that the spec names itself. One training makes each depth;
what is trimmed or quantised is made from it. ``depths: all`` is every layer count that the teacher has; it is written out as numbers when
the spec is read (:func:`distill.spec.parse_spec`), so that a frozen spec needs nobody to look at the teacher again.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Vocabulary = Literal["full", "trimmed"]
Precision = Literal["fp32", "int8", "bf16"]
ALL = "all"


class FrontierSpec(BaseModel):
    """What is swept."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    depths: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] | Literal["all"] = Field(
        description="Layer counts of the students, such as [1, 2, 3, 4, 5, 6], or 'all' that the teacher has."
    )
    vocabulary: tuple[Vocabulary, ...] = Field(("full", "trimmed"), min_length=1)
    precision: tuple[Precision, ...] = Field(("fp32", "int8"), min_length=1)


def frontier_arms(frontier: FrontierSpec) -> list[dict[str, Any]]:
    """The arms as plain data. A depth's own student is always there, since the others are made from it; likewise what int8 is made of.

    Raises:
        ValueError: the depths are not numbers yet.
    """
    if isinstance(frontier.depths, str):
        raise ValueError("'all' depths are known once the teacher is looked at")
    arms: list[dict[str, Any]] = []
    for depth in dict.fromkeys(frontier.depths):
        name = f"d{depth}"
        arms.append({"kind": "distilled", "name": name, "student": {"layers": depth}})
        for vocabulary in dict.fromkeys(frontier.vocabulary):
            source = name
            if vocabulary == "trimmed":
                source = f"{name}-trimmed"
                arms.append({"kind": "trimmed", "name": source, "options": {"of": name}})
            for precision in dict.fromkeys(frontier.precision):
                if precision != "fp32":
                    options = {"of": source} if precision == "int8" else {"of": source, "precision": precision}
                    arms.append({"kind": "quantised", "name": f"{source}-{precision}", "options": options})
    return arms
