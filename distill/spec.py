"""RunSpec: everything that decides a run's outcome, frozen. The form, the command line, the YAML and the docs come from it.

A stage caches by the digest of its own part (:meth:`RunSpec.stage_digest`), so a new name, executor or check re-does nothing
upstream. Options of teachers and arms belong to the file that registers them; here they are checked against that file's model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from distill.errors import SpecError, nearest
from distill.files import digest_of
from distill.frontier import ALL, FrontierSpec, frontier_arms
from distill.registry import Registry

SPEC_VERSION = 1
RESERVED = {"teacher": "the teacher", "origin": "generation 0", "people": "what people said"}  # in figures and files
LANGUAGE_MODELS = "generation"  # the task whose left-out values mean something else


class Part(BaseModel):
    """A frozen piece of a spec in which an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PackSource(Part):
    """A data set that a Python package carries."""

    kind: Literal["pack"] = "pack"
    name: str = Field(description="Name of the pack's data set, see `heirloom packs`.")


class FileSource(Part):
    """A file on this machine: CSV, TSV, JSONL or Parquet."""

    kind: Literal["file"] = "file"
    path: str = Field(description="Path to the file.")
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet"] = "auto"
    encoding: str | None = Field(None, description="Text encoding; guessed, and said, when empty.")


class HubSource(Part):
    """A data set on the Hugging Face hub."""

    kind: Literal["hub"] = "hub"
    id: str = Field(description="Data set id, such as 'cardiffnlp/tweet_eval'.")
    config: str | None = None
    split: str | None = Field(None, description="One split; all of them when empty, kept as they are.")
    revision: str | None = None


Source = Annotated[PackSource | FileSource | HubSource, Field(discriminator="kind")]


class Columns(Part):
    """Which column holds what."""

    text: str = "text"
    pair: str | None = Field(None, description="Second text of a sentence pair.")
    label: str | None = Field(None, description="Human label; empty cells are unlabelled rows.")
    id: str | None = Field(None, description="Unique row name; the row number serves when empty.")
    split: str | None = Field(None, description="A split that comes with the data: train, dev or test.")
    groups: tuple[str, ...] = Field((), description="Columns to compare groups by, such as gender or language.")


class SplitSpec(Part):
    """How rows are dealt out. A number below 1 is a share, from 1 on a count; what the data lacks is taken from the pool."""

    seed: int = 13
    teacher_train: float = Field(0.3, ge=0, description="Labelled rows the teacher is fine-tuned on.")
    pool: float = Field(0.5, ge=0, description="Rows whose human labels are hidden and that the teacher labels.")
    dev: float = Field(0.08, ge=0, description="Labelled rows every choice is made on.")
    test: float = Field(0.12, gt=0, description="Frozen rows that only the audit sees.")
    keep_given: bool = Field(True, description="Keep the split that comes with the data.")
    near_duplicate: float = Field(0.8, gt=0, le=1, description="Jaccard similarity from which two texts are the same.")
    distinct: bool = Field(
        True,
        description="Keep one of several test (or dev) rows that are near-copies of each other: copies are no further evidence.",
    )


class DataSpec(Part):
    """The rows, their meaning and their split."""

    source: Source
    columns: Columns = Columns()
    labels: tuple[str, ...] = Field((), description="Label names in order; found in the data when empty.")
    label_map: dict[str, str] = Field({}, description="Data label to the teacher's label, where they differ.")
    definitions: dict[str, str] = Field({}, description="What each label means; shown to reviewers.")
    positive: str | None = Field(
        None, description="The label that is good for the person concerned (bias is binarised on it)."
    )
    language: str | None = Field(None, description="ISO 639-1 code, when all texts share one language.")
    max_rows: int | None = Field(None, ge=1, description="Use a seeded sample of this many rows.")
    personal_data: Literal["keep", "mask", "drop"] = Field(
        "keep", description="What to do with texts in which personal data are found, before the teacher sees them."
    )
    personal_data_engine: Literal["rules", "presidio"] = Field(
        "rules",
        description="How they are found: own rules with check digits, or presidio beside them (names, places; you install it).",
    )
    split: SplitSpec = SplitSpec()


class TeacherSpec(Part):
    """The model that is asked: a registered backend and its options."""

    kind: str = Field("fine_tuned", description="Backend: see `heirloom teachers`.")
    options: dict[str, Any] = {}


class SignalSpec(Part):
    """How the teacher labels the pool."""

    max_labels: int = Field(15_000, ge=1, description="At most this many synthetic labels in one job.")
    batch_size: int = Field(64, ge=1)
    max_tokens: int = Field(64, ge=4, description="Longer texts are cut.")
    precision: Literal["auto", "fp32", "bf16"] = "auto"


class GenerationSpec(Part):
    """How a language model is asked: for the teacher's answers that students learn from, and for all answers to the test prompts."""

    system: str = Field("", description="System prompt; the chat template's own when empty.")
    max_new_tokens: int = Field(64, ge=1, le=4096, description="Longest answer.")
    max_prompt_tokens: int = Field(256, ge=8, description="Longer prompts lose their beginning.")
    temperature: float = Field(0.7, ge=0, le=5, description="Of sampling; 0 takes the most probable token.")
    top_p: float = Field(0.95, gt=0, le=1, description="Sample from the most probable tokens of this total mass.")
    samples: int = Field(1, ge=1, le=64, description="Answers for each prompt.")
    seed: int = Field(17, ge=0, description="Of sampling.")
    top_k_signals: int = Field(50, ge=1, le=4096, description="Log-probabilities kept for each token of an answer.")
    batch_size: int = Field(32, ge=1, description="Answers written at the same time.")


class StudentSpec(Part):
    """Where a student's weights come from."""

    init: Literal["layers", "checkpoint"] = Field(
        "layers",
        description="Where the student begins: with layers copied from the teacher, or with a model of its own.",
    )
    layers: int | tuple[int, ...] = Field(
        2,
        description="How many layers of the teacher, spread evenly; or exactly which. Language models: 0 is half of them.",
    )
    checkpoint: str | None = Field(None, description="Directory or hub id, when init is 'checkpoint'.")

    @model_validator(mode="after")
    def _checkpoint_named(self) -> StudentSpec:
        if self.init == "checkpoint" and not self.checkpoint:
            raise ValueError("a student from a checkpoint needs 'checkpoint': a directory or a hub id")
        if isinstance(self.layers, int) and self.layers < 0:
            raise ValueError("a student needs at least one layer")
        return self


class TrainingSpec(Part):
    """How a student learns."""

    temperature: float = Field(2.0, gt=0, le=20, description="Softens teacher and student alike; the loss is times T².")
    hard_label_weight: float = Field(0.0, ge=0, le=1, description="Share of the loss that looks at the label alone.")
    learning_rate: float = Field(2e-4, gt=0, le=1)
    schedule: Literal["linear", "cosine", "constant"] = Field(
        "linear", description="How the learning rate falls after the warm-up: in a line, along a cosine, or not at all."
    )
    warmup: float = Field(0.06, ge=0, lt=1, description="Share of the steps in which the learning rate rises.")
    epochs: int = Field(2, ge=1, le=100)
    batch_size: int = Field(32, ge=1)
    max_texts: int | None = Field(None, ge=1, description="Train on at most this many of the labelled texts.")
    weight_decay: float = Field(0.01, ge=0, description="How strongly weights are pulled towards zero at each step.")
    clip: float = Field(1.0, gt=0, description="Largest norm of the gradient.")
    freeze_embeddings: bool = Field(
        True,
        description="Keep the word vectors as they came from the teacher or checkpoint; less is trained, and faster.",
    )
    patience: int | None = Field(None, ge=1, description="Stop after so many checks without better dev agreement.")
    checks_per_epoch: int = Field(4, ge=1, description="How often dev agreement is measured.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Numbers that training computes with: fp32 is exact, bf16 halves memory, auto asks the machine.",
    )


class ArmSpec(Part):
    """One candidate: a registered way of making a small model, with its options and its own student or training if it differs."""

    kind: str
    name: str = Field("", description="Shown everywhere; the kind when empty.")
    options: dict[str, Any] = {}
    student: StudentSpec | None = None
    training: TrainingSpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        """``- distilled`` is short for ``- {kind: distilled}``."""
        value = {"kind": value} if isinstance(value, str) else value
        if isinstance(value, dict) and not value.get("name"):
            value = {**value, "name": value.get("kind", "")}
        return value

    @field_validator("name")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if not value.replace("_", "").replace("-", "").isalnum() or not value.isascii():
            raise ValueError("an arm's name has letters, digits, '_' and '-' only")
        if value.casefold() in RESERVED:
            raise ValueError(f"an arm cannot be called '{value}', which is {RESERVED[value.casefold()]} here")
        return value


class ReviewSpec(Part):
    """What people are asked to check."""

    required: bool = Field(False, description="Wait for the review before any student is trained.")
    fraction: float = Field(0.15, gt=0, le=1, description="Share of the synthetic labels to check.")
    max_wrong: float = Field(0.05, gt=0, lt=1, description="Largest share of wrong labels that is acceptable.")
    seed: int = 29


class GateSpec(Part):
    """A pre-declared limit on a measure of the candidate arm."""

    measure: str
    at_least: float | None = None
    at_most: float | None = None
    required: bool = True

    @model_validator(mode="after")
    def _one_limit(self) -> GateSpec:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(f"the gate on '{self.measure}' needs either at_least or at_most")
        return self


class LatencySpec(Part):
    """How the arms are timed."""

    rounds: int = Field(40, ge=5, description="Interleaved rounds at batch 1.")
    batch_sizes: tuple[int, ...] = (1, 8, 32, 64)
    texts: int = Field(256, ge=8, description="How many test texts a throughput pass reads.")


Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class PriceSpec(Part):
    """What a machine or a token costs; the user edits the book in the app."""

    entry: str = Field("cpu-2core", description="Entry of the price book.")
    per_hour: float | None = Field(None, ge=0, description="USD per machine hour; overrides the entry.")
    errors: dict[str, dict[str, Usd]] = Field({}, description="USD per error: true label, then the label given.")
    error_default: Usd | None = Field(None, description="USD for every error without a price of its own.")

    @field_validator("errors")
    @classmethod
    def _right_costs_nothing(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for true, row in value.items():
            if row.get(true):
                raise ValueError(f"a right answer costs nothing, so '{true}' taken for itself has no price")
        return value


DEFAULT_GATES = (
    GateSpec(measure="accuracy_difference", at_least=-0.02),
    GateSpec(measure="latency_speedup", at_least=1.0),
    GateSpec(measure="cost_saving", at_least=0.0),
    GateSpec(measure="gender_bias_change", at_most=0.01, required=False),
)


GENERATION_GATES = (
    GateSpec(measure="token_agreement", at_least=0.5),
    GateSpec(measure="latency_speedup", at_least=1.0),
    GateSpec(measure="gender_bias_change", at_most=0.01, required=False),
)


class AuditSpec(Part):
    """How the verdict is reached. Declared before the run and never changed by it."""

    candidate: str = Field(
        "", description="The arm that may replace the teacher; the first distilled or given one when empty."
    )
    gates: tuple[GateSpec, ...] = DEFAULT_GATES
    margin: float = Field(0.02, gt=0, description="Accuracy difference that does not matter (0.02 = 2 points).")
    bias_margin: float = Field(0.01, gt=0, description="Change of the gender gap that does not matter.")
    primary_bias: str = "gender_bias_change"
    resamples: int = Field(10_000, ge=200)
    seed: int = 7
    latency: LatencySpec = LatencySpec()
    prices: PriceSpec = PriceSpec()
    checks: dict[str, dict[str, Any]] = Field({}, description="Options of single checks, by name.")
    skip: tuple[str, ...] = Field((), description="Checks to leave out; the report says so.")


class RunSpec(Part):
    """Everything that decides a run's outcome."""

    version: Literal[1] = 1
    name: str = Field(min_length=1, max_length=120)
    task: str = "classification"
    data: DataSpec
    teacher: TeacherSpec = TeacherSpec()
    signals: SignalSpec = SignalSpec()
    generation: GenerationSpec | None = Field(None, description="How language models are asked; for that task only.")
    student: StudentSpec = StudentSpec()
    training: TrainingSpec = TrainingSpec()
    arms: tuple[ArmSpec, ...] = Field(
        tuple(ArmSpec(kind=kind, name=kind) for kind in ("distilled", "undistilled", "hard_label", "fine_tuned")),
        min_length=1,
    )
    frontier: FrontierSpec | None = Field(None, description="Depths × vocabulary × precision that become arms too.")
    seeds: tuple[int, ...] = Field(
        (1, 2, 3),
        min_length=1,
        description="Each arm is trained once for each number, so that chance shows in the intervals.",
    )
    review: ReviewSpec = ReviewSpec()
    audit: AuditSpec = AuditSpec()
    executor: Literal["local"] = "local"
    parent: str | None = Field(None, description="Run id this run follows from.")
    generations: int = Field(
        1, ge=1, le=10, description="Distil again: after this run its student teaches the next, up to so many runs."
    )
    label_version: int = Field(
        0, ge=0, description="0 = the teacher's labels; n = after n applied reviews (of the parent)."
    )

    @model_validator(mode="before")
    @classmethod
    def _arms_of_the_frontier(cls, value: Any) -> Any:
        """The frontier's arms behind the spec's own; a spec that was written out has them already."""
        if not isinstance(value, dict) or not value.get("frontier"):
            return value
        try:
            frontier = FrontierSpec.model_validate(value["frontier"])
        except ValidationError:
            return value  # the field itself says what is wrong, and where
        if frontier.depths == ALL:
            raise ValueError("'depths: all' of the frontier is written out by parse_spec, which looks at the teacher")
        own = list(value.get("arms") or ())
        names = {arm.get("name") for arm in own if isinstance(arm, dict)}
        return {**value, "arms": [*own, *(arm for arm in frontier_arms(frontier) if arm["name"] not in names)]}

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_task(cls, value: Any) -> Any:
        """What is left out of a spec for language models means something else than for classifiers."""
        if not isinstance(value, dict) or value.get("task") != LANGUAGE_MODELS:
            return value
        value = {**_GENERATION_DEFAULTS, **value}
        if isinstance(value.get("audit"), dict):
            value["audit"] = {"gates": GENERATION_GATES, **value["audit"]}
        if isinstance(value.get("student"), dict):
            value["student"] = {"layers": 0, **value["student"]}
        if isinstance(value.get("training"), dict):
            value["training"] = {**_GENERATION_DEFAULTS["training"], **value["training"]}
        if isinstance(value.get("arms"), list | tuple):
            value["arms"] = [_generation_arm(arm) for arm in value["arms"]]
        return value

    @model_validator(mode="after")
    def _consistent(self) -> RunSpec:
        if self.generation is not None and self.task != LANGUAGE_MODELS:
            raise ValueError("'generation' is for the task 'generation' only")
        if self.generations > 1 and self.task == LANGUAGE_MODELS:
            raise ValueError("'generations' is for classification: a student that writes cannot be a teacher yet")
        if self.task != LANGUAGE_MODELS and self.student.layers == 0:
            raise ValueError("a student needs at least one layer")
        names = [arm.name for arm in self.arms]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two arms are called '{sorted(twice)[0]}': give one of them another name")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("a seed stands twice in 'seeds'")
        if self.audit.candidate and self.audit.candidate not in names:
            raise ValueError(f"the candidate '{self.audit.candidate}' is not an arm: {', '.join(names)}")
        return self

    @property
    def candidate(self) -> str:
        """Name of the arm that the verdict is about."""
        if self.audit.candidate:
            return self.audit.candidate
        preferred = [arm.name for arm in self.arms if arm.kind in _DISTILLED]
        preferred += [arm.name for arm in self.arms if arm.kind == "given"]
        return preferred[0] if preferred else self.arms[0].name

    @property
    def asking(self) -> GenerationSpec:
        """How language models are asked."""
        return self.generation or GenerationSpec()

    def arm(self, name: str) -> ArmSpec:
        """The arm called ``name``; raises SpecError when there is none."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise SpecError(f"This run has no arm called '{name}'.", hint=nearest(name, [arm.name for arm in self.arms]))

    def student_of(self, arm: ArmSpec) -> StudentSpec:
        """The arm's own student, or the run's."""
        return arm.student or self.student

    def training_of(self, arm: ArmSpec) -> TrainingSpec:
        """The arm's own training options, or the run's."""
        return arm.training or self.training

    def stage_digest(self, stage: str) -> str:
        """Digest of what decides a stage's result: its own part and every part upstream of it. Names and checks are not in it."""
        parts: dict[str, tuple[str, ...]] = {
            "data": ("task", "data"),
            "teacher": ("task", "data", "teacher", "signals"),
            "labels": ("task", "data", "teacher", "signals"),
            "students": (
                "task",
                "data",
                "teacher",
                "signals",
                "student",
                "training",
                "arms",
                "seeds",
                "label_version",
                "parent",
            ),
        }
        dump = self.model_dump(mode="json")
        if dump["data"]["personal_data_engine"] == "rules":
            del dump["data"]["personal_data_engine"]  # so that runs from before there was a choice keep their stages
        chosen = parts.get(stage, parts["students"])
        if "parent" in chosen and not self.label_version:
            chosen = tuple(part for part in chosen if part != "parent")
        if self.task == LANGUAGE_MODELS and stage != "data":
            chosen = (*chosen, "generation")
        return digest_of({"version": SPEC_VERSION, **{part: dump[part] for part in chosen}})

    def to_yaml(self) -> str:
        """The spec as YAML that ``load_spec`` reads back to an equal spec; defaults are left out."""
        dump = self.model_dump(mode="json", exclude_defaults=True)
        # the tag of a source is a default of its class, yet without it nothing can tell which class it is
        dump["data"]["source"]["kind"] = self.data.source.kind
        if self.task == LANGUAGE_MODELS:
            # these defaults depend on the task, so a value that equals the classifiers' default must be written
            whole = self.model_dump(mode="json")
            dump |= {part: whole[part] for part in ("teacher", "student", "training", "arms", "seeds")}
            dump["audit"] = {**dump.get("audit", {}), "gates": whole["audit"]["gates"]}
        return yaml.safe_dump(dump, sort_keys=False, allow_unicode=True, width=110)


_DISTILLED = ("distilled", "self_distilled", "iterative", "stacked", "token_kl", "on_policy", "step_by_step")
_GENERATION_DEFAULTS: dict[str, Any] = {
    "teacher": {"kind": "local_lm"},
    "generation": {},
    "student": {"layers": 0},
    "training": {"temperature": 1.0, "learning_rate": 5e-4, "batch_size": 32, "epochs": 2},
    "arms": ("token_kl", "undistilled", "sequence"),
    "seeds": (1,),
    "audit": {"gates": GENERATION_GATES},
}


def _generation_arm(arm: Any) -> Any:
    """An arm's own student and training with the defaults of language models."""
    if not isinstance(arm, dict):
        return arm
    own = {part: arm[part] for part in ("student", "training") if isinstance(arm.get(part), dict)}
    return {**arm, **{part: {**_GENERATION_DEFAULTS[part], **given} for part, given in own.items()}}


def parse_spec(value: Any, where: str = "the spec") -> RunSpec:
    """A RunSpec from plain data, options of teacher and arms checked.

    Raises:
        SpecError: one sentence that names the key, the place and the nearest known key.
    """
    if not isinstance(value, dict):
        raise SpecError(f"{where} is not a mapping of keys to values.", hint="Start from a file in specs/.")
    value = _with_all_depths(value, where)
    try:
        spec = RunSpec.model_validate(value)
    except ValidationError as error:
        raise _explain(error, RunSpec, where) from error
    from distill.plugins import ARMS, TASKS, TEACHERS

    TASKS.get(spec.task)
    _fits(TEACHERS, spec.teacher.kind, spec.task, where)
    for arm in spec.arms:
        _fits(ARMS, arm.kind, spec.task, where)
    teacher = spec.teacher.model_copy(
        update={
            "options": check_options(TEACHERS.get(spec.teacher.kind).options, spec.teacher.options, f"{where}: teacher")
        }
    )
    arms = tuple(
        arm.model_copy(
            update={"options": check_options(ARMS.get(arm.kind).options, arm.options, f"{where}: arm '{arm.name}'")}
        )
        for arm in spec.arms
    )
    return spec.model_copy(update={"teacher": teacher, "arms": arms})


def _with_all_depths(value: dict[str, Any], where: str) -> dict[str, Any]:
    """``value`` with 'depths: all' of a frontier written out; raises SpecError where nobody here knows the teacher's layers."""
    frontier = value.get("frontier")
    if not isinstance(frontier, dict) or frontier.get("depths") != ALL:
        return value
    from distill.estimate import known_teacher
    from distill.plugins import TEACHERS

    try:
        teacher = TeacherSpec.model_validate(value.get("teacher") or {})
    except ValidationError as error:
        raise _explain(error, TeacherSpec, f"{where}: teacher") from error
    options = check_options(TEACHERS.get(teacher.kind).options, teacher.options, f"{where}: teacher")
    shape = known_teacher(teacher.model_copy(update={"options": options}))
    if shape is None:
        raise SpecError(
            f"{where}: nobody here knows how many layers the teacher has, so a frontier of 'depths: all' cannot be drawn.",
            hint="Name the depths, such as [1, 2, 3], or give the teacher as a directory or pack.",
        )
    return {**value, "frontier": {**frontier, "depths": list(range(1, shape.layers + 1))}}


def _fits(registry: Registry[Any], kind: str, task: str, where: str) -> None:
    """Raise SpecError when what is called ``kind`` is for another task."""
    if task not in registry.get(kind).tasks:
        fitting = [entry.name for entry in registry if task in entry.tasks]
        raise SpecError(
            f"{where}: the {registry.kind} '{kind}' is not for the task '{task}'.", hint=nearest(kind, fitting)
        )


def check_options(model: type[BaseModel], options: dict[str, Any], where: str) -> dict[str, Any]:
    """``options`` completed with the defaults of ``model``, as plain JSON data; raises SpecError."""
    try:
        return model.model_validate(options).model_dump(mode="json")
    except ValidationError as error:
        raise _explain(error, model, f"{where}, options") from error


def load_spec(path: Path) -> RunSpec:
    """Read a RunSpec from a YAML (or JSON) file; raises SpecError with the line where YAML breaks off."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SpecError(f"There is no file {path}.", hint="Ready specs lie in specs/.") from error
    except (UnicodeDecodeError, OSError) as error:
        raise SpecError(f"{path} cannot be read as UTF-8 text.", hint="Save it as UTF-8 YAML.") from error
    return spec_from_yaml(text, str(path))


def spec_from_yaml(text: str, where: str = "the spec") -> RunSpec:
    """Read a RunSpec from YAML text; raises SpecError."""
    try:
        return parse_spec(yaml.safe_load(text), where)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise SpecError(f"{where} is not valid YAML{line}.", hint="Check the indentation and quotes there.") from error


def _explain(error: ValidationError, model: type[BaseModel], where: str) -> SpecError:
    """The problems of a pydantic error as one sentence in a person's words; see :mod:`distill.spec_errors`."""
    from distill.spec_errors import explain

    return explain(error, model, where, Part)
