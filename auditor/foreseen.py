"""Gates that cannot be answered for a reason that the spec already shows: said before a run costs time, not after it."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.bias.scoring import LexiconOptions, lexicon_of
from auditor.check import CHECKS, GIVES
from distill.errors import HeirloomError
from distill.preflight import PreflightItem
from distill.spec import GateSpec, RunSpec


def unanswerable(spec: RunSpec) -> list[PreflightItem]:
    """A warning for each gate whose checks will all be skipped, with the field that mends it; nothing is measured and nothing raised."""
    return [item for gate in spec.audit.gates for item in _about(gate, spec)]


def _about(gate: GateSpec, spec: RunSpec) -> Iterator[PreflightItem]:
    CHECKS.names()  # the catalogue fills when the checks are loaded
    givers = [name for name, measures in GIVES.items() if gate.measure in measures]
    giving = [name for name in givers if spec.task in CHECKS.get(name).tasks]
    reasons = [_skipped(name, spec) for name in giving]
    if not reasons or not all(reasons):  # a plugin's measure, or one check can still be made
        return
    why, hint = next(reason for reason in reasons if reason)
    meaning = "the verdict will be 'cannot tell'" if gate.required else "it will stand as not known"
    yield PreflightItem("warn", f"The gate on {gate.measure} cannot be answered: {why} So {meaning}.", hint)


def _skipped(name: str, spec: RunSpec) -> tuple[str, str] | None:
    """Why the check will be skipped and what to do about it; None where the spec shows no reason."""
    if name in spec.audit.skip:
        return (
            f"the check '{name}' is left out.",
            f"Take '{name}' out of audit.skip, or leave the gate out of audit.gates.",
        )
    options = CHECKS.get(name).options
    if not (isinstance(options, type) and issubclass(options, LexiconOptions)):
        return None
    try:
        lexicon_of(spec, options.model_validate(spec.audit.checks.get(name, {})))
    except HeirloomError as error:
        sentence = error.message[:1].lower() + error.message[1:]
        return sentence, error.hint
    except ValueError:  # options that are no options: the spec's own check says so
        return None
    return None
