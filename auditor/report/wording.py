"""How a report writes measures: a plain name, three significant digits, the interval in the same unit."""

from __future__ import annotations

import math

from auditor.types import Measure

NOTHING = "–"
ARMS: dict[str, str] = {
    "teacher": "teacher",
    "people": "people",
    "data": "data",
    "distilled": "distilled student",
    "undistilled": "undistilled student",
    "hard_label": "hard labels (control)",
    "fine_tuned": "fine-tuned on human labels",
    "given": "given model",
    "quantised": "quantised teacher",
    "pruned": "pruned teacher",
    "token_kl": "distilled student (token by token)",
    "on_policy": "distilled student (on-policy)",
    "step_by_step": "distilled student (step by step)",
    "sequence": "teacher's text alone (control)",
}
NAMES: dict[str, str] = {
    "macro_f1": "macro F1",
    "f1": "F1",
    "accuracy_retention": "accuracy kept",
    "accuracy_difference": "accuracy against the teacher",
    "macro_f1_difference": "macro F1 against the teacher",
    "accuracy_over_control": "accuracy over the control",
    "accuracy_over_parent": "accuracy against the parent run",
    "agreement_with_parent": "agreement with the parent run",
    "agreement": "agreement with the teacher",
    "ece": "calibration error (ECE)",
    "ece_scaled": "calibration error after scaling",
    "brier": "Brier score",
    "brier_scaled": "Brier score after scaling",
    "brier_difference": "Brier score against the teacher",
    "nll": "negative log-likelihood",
    "nll_scaled": "negative log-likelihood after scaling",
    "latency_speedup": "speed-up",
    "cost_saving": "cost saved",
    "size_bytes": "size on disk",
    "gender_bias": "gender gap",
    "gender_bias_signed": "gender gap, signed",
    "gender_bias_change": "change of the gender gap",
    "gender_bias_change_pct": "change of the gender gap",
    "cost_per_1k": "cost per 1,000 texts",
    "making_energy_kwh": "energy of making it, kWh (an estimate)",
    "energy_per_1k_wh": "energy of 1,000 answers, Wh (an estimate)",
    "energy_saving": "energy saved (an estimate)",
    "error_cost_per_1k": "cost of errors in 1,000 answers",
    "error_cost_difference": "cost of errors in 1,000 answers against the teacher",
    "total_cost_saving": "cost of running and errors saved",
    "total_cost_per_1k": "cost of running and errors, 1,000 answers",
    "worst_slice": "accuracy in the worst slice against the teacher",
    "worst_text_slice": "accuracy in the worst slice of texts against the teacher",
    "kl_divergence": "KL from the teacher",
    "label_error_rate": "label error rate",
    "answer_error_rate": "share of answers that people would not let stand",
    "answer_error_bound": "at most, of all answers",
    "human_preference": "prompts on which people prefer its answer",
    "human_preference_ties": "prompts on which people see no difference",
    "mcnemar_p": "McNemar p",
    "token_agreement": "token agreement with the teacher",
    "perplexity_on_teacher": "perplexity of the teacher's answers",
    "token_agreement_over_control": "token agreement over the control",
    "token_agreement_over_undistilled": "token agreement over the untrained student",
    "kl_over_control": "KL over the control",
    "kl_over_undistilled": "KL over the untrained student",
    "rouge_l": "ROUGE-L",
    "token_f1": "word F1",
    "distinct_2": "different pairs of words",
    "choice_accuracy": "multiple-choice accuracy",
    "choice_accuracy_norm": "multiple-choice accuracy by length",
    "choice_accuracy_difference": "multiple-choice accuracy against the teacher",
    "choice_accuracy_over_control": "multiple-choice accuracy over the control",
    "tokens_per_s": "tokens a second",
    "stereoset_lms": "StereoSet lms",
    "stereoset_icat": "StereoSet icat",
    "bbq_accuracy": "BBQ accuracy",
    "bbq_bias_score": "BBQ bias score",
}
_SHARES = {
    "accuracy", "macro_f1", "precision", "recall", "f1", "agreement", "mass_matched", "agreement_where_teacher_wrong",
    "ece", "ece_scaled", "slice_accuracy", "shared_ngrams", "near_duplicates", "personal_data", "language_share",
    "language_accuracy", "language_agreement", "selection_rate", "true_positive_rate", "false_positive_rate",
    "answer_error_rate", "answer_error_bound", "answer_review_coverage", "answer_reject_rate", "hallucination_rate",
    "human_preference", "human_preference_ties", "swap_flip_rate", "label_error_rate", "label_error_bound", "label_review_coverage", "reviewer_raw_agreement",
    "teacher_raw_agreement", "accuracy_given_review", "token_agreement", "exact_match", "repetition_rate", "distinct_2",
    "empty_rate", "truncated_rate", "language_switch_rate", "choice_accuracy", "choice_accuracy_norm", "choice_agreement",
    "stereotype_share", "stereoset_lms", "bbq_accuracy", "hurtful_rate", "agreement_with_parent",
}  # fmt: skip
_POINTS = {
    "accuracy_difference", "macro_f1_difference", "accuracy_over_control", "slice_difference", "worst_slice",
    "worst_text_slice", "choice_accuracy_difference", "accuracy_over_parent",
    "choice_accuracy_over_control", "token_agreement_over_control", "token_agreement_over_undistilled", "hurtful_gap",
    "hurtful_rate_change", "degeneration_change",
}  # fmt: skip
_COUNTS = {"regressions", "gains", "disagreements", "parameters"}
_SUFFIX = {
    "ms": " ms",
    "s": " s",
    "texts/s": " texts/s",
    "tokens/s": " tokens/s",
    "texts": " texts",
    "nats": " nats",
    "%": " %",
    "×": "×",
}


def name_of(measure: str) -> str:
    """The plain name of a measure."""
    return NAMES.get(measure, measure.replace("_", " "))


def arm_of(arm: str) -> str:
    """The plain name of an arm; a name that somebody gave stays as it is."""
    return ARMS.get(arm, arm)


def meaning_of(measure: str) -> str:
    """What the check that gives it says of it; empty for an unknown measure."""
    from auditor.check import CHECKS, MEASURES

    CHECKS.names()  # the catalogue fills when the checks are loaded
    return MEASURES.get(measure, ("", ""))[1]


def number(value: float | None, places: int | None = None, *, sign: bool = False) -> str:
    """``value`` with three significant digits (or ``places`` decimals), a thousands comma and a true minus."""
    if value is None or not math.isfinite(value):
        return NOTHING
    places = _places(value) if places is None else places
    rounded = round(value, places)
    minus = "−" if rounded < 0 else "+" if sign and rounded > 0 else ""
    return f"{minus}{abs(rounded):,.{places}f}"


def size(n_bytes: float | None) -> str:
    """Bytes in decimal units."""
    if n_bytes is None:
        return NOTHING
    unit, factor = next(((u, f) for u, f in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)) if n_bytes >= f), ("B", 1.0))
    return f"{number(n_bytes / factor)} {unit}"


def written(measure: Measure | None) -> str:
    """Figure with unit: ``56.5 %``."""
    if measure is None or measure.value is None:
        return NOTHING
    return _one(measure, measure.value)


def between(measure: Measure | None) -> str:
    """``[low, high]`` in the unit of the figure; empty where a bound is missing."""
    if measure is None or measure.low is None or measure.high is None:
        return ""
    if measure.unit == "bytes":
        return f"[{size(measure.low)}, {size(measure.high)}]"
    factor, places, sign = _scale(measure)
    low, high = measure.low * factor, measure.high * factor
    places = _places(max(abs(low), abs(high))) if places is None else places
    return f"[{number(low, places, sign=sign)}, {number(high, places, sign=sign)}]"


def with_interval(measure: Measure | None) -> str:
    """``56.5 % [49.6, 63.2]``."""
    return f"{written(measure)} {between(measure)}".strip()


def limit(measure: str, value: float, direction: str, unit: str = "1") -> str:
    """A gate's limit in the unit of its measure: ``at least −2.0 points``."""
    factor, _, sign = _scale(Measure(name=measure, value=value, unit=unit))
    exact = f"{value * factor:{'+' if sign else ''}g}".replace("-", "−")
    ending = " points" if measure in _POINTS else " %" if measure in _SHARES and unit == "1" else _SUFFIX.get(unit, "")
    return f"{direction.replace('_', ' ')} {exact}{ending}"


def _one(measure: Measure, value: float) -> str:
    if measure.unit == "bytes":
        return size(value)
    factor, places, sign = _scale(measure)
    text = number(value * factor, places, sign=sign)
    if measure.name in _POINTS:
        return f"{text} points"
    if measure.name in _SHARES and measure.unit == "1":
        return f"{text} %"
    if measure.unit == "USD":
        return f"${text}"
    return text + _SUFFIX.get(measure.unit, "")


def _scale(measure: Measure) -> tuple[float, int | None, bool]:
    """Factor, decimals (None: three significant digits), and whether a plus is written."""
    if measure.unit == "1" and (measure.name in _SHARES or measure.name in _POINTS):
        return 100.0, 1, measure.name in _POINTS
    if measure.unit == "%":
        return 1.0, 1, False
    if measure.name in _COUNTS or measure.unit == "texts":
        return 1.0, 0, False
    return 1.0, None, False


def _places(value: float) -> int:
    if not math.isfinite(value) or value == 0:
        return 2 if value == 0 else 0
    return min(8, max(0, 2 - math.floor(math.log10(abs(value)))))
