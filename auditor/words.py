"""What measures and arms are called, and how a measure's figure is written: said once, for reports and pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from auditor import figures
from auditor.types import Measure

Style = Literal["share", "points", "ratio", "ms", "bytes", "money", "rate", "plain", "percent", "count", "seconds"]

ARM_NAMES: dict[str, str] = {
    "teacher": "teacher",
    "distilled": "distilled student",
    "undistilled": "undistilled student",
    "hard_label": "hard labels (control)",
    "fine_tuned": "fine-tuned on human labels",
    "given": "given model",
    "quantised": "quantised teacher",
    "pruned": "pruned teacher",
    "label_budget": "fine-tuned on a label budget",
    "self_distilled": "self-distilled student",
    "iterative": "student taught in rounds",
    "trimmed": "vocabulary trimmed",
    "stacked": "distilled, trimmed and int8",
    "token_kl": "token-level student",
    "sequence": "sequence level (control)",
    "on_policy": "on-policy student",
    "step_by_step": "step-by-step student",
    "people": "people",
    "data": "data",
}


@dataclass(frozen=True)
class Word:
    """How a measure is called, written, and explained."""

    name: str
    style: Style
    meaning: str = ""


MEASURES: dict[str, Word] = {
    "accuracy": Word("accuracy", "share", "Share of test texts with the right label."),
    "agreement_with_origin": Word("agreement with generation 0", "share"),
    "accuracy_against_origin": Word("accuracy against generation 0", "points"),
    "rarest_class_recall": Word("recall of the rarest label", "share"),
    "macro_f1": Word("macro F1", "share", "Mean over the classes of the harmonic mean of precision and recall."),
    "precision": Word("precision", "share", "Of the texts given this label, the share that has it."),
    "recall": Word("recall", "share", "Of the texts with this label, the share that was found."),
    "f1": Word("F1", "share", "Harmonic mean of precision and recall."),
    "accuracy_retention": Word("accuracy kept", "percent", "Student's accuracy as a share of the teacher's."),
    "dev_accuracy": Word(
        "accuracy on dev", "share", "Share of dev texts with the right label; choices are made there."
    ),
    "dev_retention": Word("accuracy kept on dev", "percent"),
    "chosen_retention": Word("accuracy kept on the test by what dev chose", "percent"),
    "tokens_lost": Word(
        "tokens lost by trimming", "share", "Share of the test's tokens that a trimmed vocabulary lacks."
    ),
    "texts_with_lost_tokens": Word("texts with a lost token", "share"),
    "probability_moved_largest": Word("largest move of a probability", "plain"),
    "probability_moved_p99": Word("move of 99 in 100 probabilities", "plain"),
    "agreement_with_source": Word("agreement with what it was made from", "share"),
    "vocabulary_kept": Word("vocabulary kept", "share"),
    "macro_f1_difference": Word("macro F1 against the teacher", "points"),
    "accuracy_over_parent": Word("accuracy against the parent run", "points"),
    "agreement_with_parent": Word("agreement with the parent run", "share"),
    "accuracy_over_control": Word("accuracy over the control", "points"),
    "mcnemar_p": Word("McNemar p", "plain"),
    "slice_accuracy": Word("accuracy in the slice", "share"),
    "worst_slice": Word("accuracy in the worst slice against the teacher", "points"),
    "worst_text_slice": Word("accuracy in the worst slice of texts against the teacher", "points"),
    "error_cost_per_1k": Word("cost of errors in 1,000 answers", "money", "By the prices of errors in the spec."),
    "error_cost_difference": Word("cost of errors in 1,000 answers against the teacher", "money"),
    "total_cost_saving": Word("cost of running and errors saved", "percent"),
    "total_cost_per_1k": Word(
        "cost of running and errors, 1,000 answers", "money", "Cost of running plus cost of errors."
    ),
    "slice_difference": Word("accuracy in the slice against the teacher", "points"),
    "accuracy_difference": Word("accuracy against the teacher", "points", "Student's accuracy minus the teacher's."),
    "agreement": Word("agreement with the teacher", "share", "Share of test texts with the teacher's label."),
    "agreement_where_teacher_wrong": Word(
        "agreement where the teacher is wrong", "share", "How often the student repeats a mistake of its teacher."
    ),
    "kl_divergence": Word("KL from the teacher", "plain", "Mean KL(teacher ‖ student) in nats; 0 is a perfect copy."),
    "mass_matched": Word("output mass matched", "share", "Probability mass on which teacher and student agree."),
    "regressions": Word("regressions", "count", "Test texts that the teacher has right and the student wrong."),
    "gains": Word("gains", "count", "Test texts that the student has right and the teacher wrong."),
    "ece": Word("calibration error (ECE)", "share", "Mean gap between confidence and accuracy (ECE)."),
    "brier": Word(
        "Brier score", "plain", "Mean squared distance of the probabilities from the truth; lower is better."
    ),
    "latency_p50_ms": Word("latency p50", "ms", "Half of the single answers come within this time."),
    "latency_p95_ms": Word("latency p95", "ms", "95 % of the single answers come within this time."),
    "latency_p99_ms": Word("latency p99", "ms", "99 % of the single answers come within this time."),
    "latency_speedup": Word("speed-up", "ratio", "Teacher's batch-1 latency over the student's, in the same rounds."),
    "throughput_per_s": Word("throughput", "rate", "Texts a second at the best batch size."),
    "cost_per_1k": Word("cost per 1,000 texts", "money", "Measured throughput × the price book."),
    "cost_per_1k_tokens": Word("cost per 1,000 tokens", "money", "Measured throughput × the price book."),
    "cost_saving": Word("cost saved", "percent", "1 − student's cost per text ÷ the teacher's."),
    "break_even_texts": Word("break-even volume", "count", "Texts after which labelling and training are paid for."),
    "size_bytes": Word("size on disk", "bytes"),
    "peak_memory_bytes": Word("peak memory", "bytes"),
    "memory_ratio": Word("times less memory", "ratio"),
    "compression": Word("times smaller", "ratio"),
    "throughput_speedup": Word("throughput gain", "ratio"),
    "disagreements": Word("disagreements", "count"),
    "making_cost": Word("cost of making it", "money"),
    "making_seconds": Word("time of making it", "seconds"),
    "making_energy_kwh": Word("energy of making it, kWh (estimate)", "plain"),
    "energy_per_1k_wh": Word("energy of 1,000 answers, Wh (estimate)", "plain"),
    "energy_saving": Word("energy saved (estimate)", "percent"),
    "ece_scaled": Word("calibration error after scaling", "share"),
    "brier_scaled": Word("Brier score after scaling", "plain"),
    "nll": Word("negative log-likelihood", "plain"),
    "nll_scaled": Word("negative log-likelihood after scaling", "plain"),
    "parameters": Word("parameters", "count"),
    "cascade_accuracy": Word("accuracy of the cascade", "share"),
    "cascade_accuracy_difference": Word("accuracy of the cascade against the teacher", "points"),
    "cascade_deferred": Word("passed on to the teacher", "share"),
    "budget_difference": Word("fine-tuning on so many labels against the candidate", "points"),
    "token_agreement": Word(
        "token agreement with the teacher", "share", "How often the student would choose the teacher's token."
    ),
    "perplexity_on_teacher": Word("perplexity of the teacher's answers", "plain"),
    "token_agreement_over_control": Word("token agreement over the control", "points"),
    "token_agreement_over_undistilled": Word("token agreement over the untrained student", "points"),
    "kl_over_control": Word("KL over the control", "plain"),
    "kl_over_undistilled": Word("KL over the untrained student", "plain"),
    "exact_match": Word("exact match", "share"),
    "token_f1": Word("word F1", "plain"),
    "rouge_l": Word("ROUGE-L", "plain", "Longest common sequence of words with the other text."),
    "repetition_rate": Word("repetition", "share", "Share of an answer's runs of four words that stood in it before."),
    "distinct_2": Word("different pairs of words", "share"),
    "empty_rate": Word("empty answers", "share"),
    "truncated_rate": Word("answers cut at the limit", "share"),
    "language_switch_rate": Word("answers in another language", "share"),
    "choice_accuracy": Word("multiple-choice accuracy", "share"),
    "choice_accuracy_norm": Word("multiple-choice accuracy by length", "share"),
    "choice_agreement": Word("same choice as the teacher", "share"),
    "choice_accuracy_difference": Word("multiple-choice accuracy against the teacher", "points"),
    "choice_accuracy_over_control": Word("multiple-choice accuracy over the control", "points"),
    "time_to_first_token_p50_ms": Word("time to first token p50", "ms"),
    "time_to_first_token_p95_ms": Word("time to first token p95", "ms"),
    "time_per_output_token_p50_ms": Word("time per token p50", "ms"),
    "time_per_output_token_p95_ms": Word("time per token p95", "ms"),
    "tokens_per_s": Word("tokens a second", "plain"),
    "stereotype_share": Word("pairs that prefer the stereotype", "share"),
    "stereotype_preference": Word("preference for the stereotype", "plain"),
    "bbq_accuracy": Word("BBQ accuracy", "share"),
    "hurtful_rate": Word("completions that hurt", "share"),
    "gender_bias": Word("gender gap", "plain"),
    "gender_bias_change": Word("change of the gender gap", "plain"),
    "brier_difference": Word("Brier score against the teacher", "plain"),
    "gender_bias_signed": Word("gender gap, signed", "plain"),
    "gender_bias_change_pct": Word("change of the gender gap", "percent"),
    "label_error_rate": Word("label error rate", "share"),
    "answer_error_rate": Word("share of answers that people would not let stand", "share"),
    "answer_error_bound": Word("at most, of all answers", "share"),
    "human_preference": Word("prompts on which people prefer its answer", "share"),
    "human_preference_ties": Word("prompts on which people see no difference", "share"),
    "stereoset_lms": Word("StereoSet lms", "share"),
    "stereoset_icat": Word("StereoSet icat", "plain"),
    "bbq_bias_score": Word("BBQ bias score", "plain"),
    "accuracy_given_review": Word("accuracy given review", "share"),
    "answer_reject_rate": Word("answer reject rate", "share"),
    "answer_review_coverage": Word("answer review coverage", "share"),
    "degeneration_change": Word("degeneration change", "points"),
    "false_positive_rate": Word("false positive rate", "share"),
    "hallucination_rate": Word("hallucination rate", "share"),
    "hurtful_gap": Word("hurtful gap", "points"),
    "hurtful_rate_change": Word("hurtful rate change", "points"),
    "label_error_bound": Word("label error bound", "share"),
    "label_gender_association": Word("association of label and gender", "plain"),
    "label_gender_growth": Word("growth of the association of label and gender", "plain"),
    "label_review_coverage": Word("label review coverage", "share"),
    "language_accuracy": Word("language accuracy", "share"),
    "language_agreement": Word("language agreement", "share"),
    "language_share": Word("language share", "share"),
    "near_duplicates": Word("near duplicates", "share"),
    "personal_data": Word("personal data", "share"),
    "reviewer_raw_agreement": Word("reviewer raw agreement", "share"),
    "selection_rate": Word("selection rate", "share"),
    "shared_ngrams": Word("shared ngrams", "share"),
    "swap_flip_rate": Word("swap flip rate", "share"),
    "teacher_raw_agreement": Word("teacher raw agreement", "share"),
    "true_positive_rate": Word("true positive rate", "share"),
}
_BY_UNIT: dict[str, Style] = {
    "ms": "ms",
    "bytes": "bytes",
    "USD": "money",
    "texts/s": "rate",
    "%": "percent",
    "s": "seconds",
    "×": "ratio",
    "texts": "count",
}
_PLAIN_UNITS = ("nats", "tokens/s", "Wh", "kWh")  # written behind a plain figure
_SNAKE = re.compile(
    r"'?(?<![\w.])([a-z0-9]+(?:_[a-z0-9]+)+)\b'?"
)  # not after a dot: data.personal_data is a place in a spec


def word_of(name: str, unit: str = "1") -> Word:
    """The word for a measure; one that others added gets its own name without underscores."""
    return MEASURES.get(name) or Word(name.replace("_", " "), _BY_UNIT.get(unit, "plain"))


def name_of(measure: str) -> str:
    """The plain name of a measure."""
    return word_of(measure).name


def arm_of(arm: str) -> str:
    """The plain name of an arm."""
    return ARM_NAMES.get(arm, arm.replace("_", " "))


def meaning_of(name: str) -> str:
    """What a measure means: from the catalogue that the checks fill, else from here."""
    from auditor.check import CHECKS
    from auditor.check import MEASURES as CATALOGUE

    CHECKS.names()  # fills the catalogue
    return CATALOGUE[name][1] if name in CATALOGUE else word_of(name).meaning


def in_words(sentence: str) -> str:
    """A sentence of the audit with the plain names of measures in place of their words in specs."""
    from auditor.check import CHECKS
    from auditor.check import MEASURES as CATALOGUE

    CHECKS.names()
    return _SNAKE.sub(lambda f: name_of(f[1]) if f[1] in MEASURES or f[1] in CATALOGUE else f[0], sentence)


def written(measure: Measure | None) -> str:
    """A measure's figure with its unit, without the interval: ``56.5 %``."""
    return figures.NOTHING if measure is None else _write(measure.value, _style(measure), measure.unit)


def between(measure: Measure | None) -> str:
    """A measure's interval in brackets, in the unit of its figure; empty where it has none."""
    if measure is None or measure.low is None or measure.high is None:
        return ""
    style = _style(measure)
    if style == "bytes":
        return f"[{figures.size(measure.low)}, {figures.size(measure.high)}]"
    if style in {"share", "points"}:
        return figures.percent_interval(measure.low, measure.high, sign=style == "points")
    return figures.interval(measure.low, measure.high, places=1 if style == "percent" else None)


def with_interval(measure: Measure | None) -> str:
    """Figure and interval: ``99.5 % [98.7, 100.4]``."""
    return f"{written(measure)} {between(measure)}".strip()


def limit_written(name: str, value: float, unit: str = "1") -> str:
    """A gate's limit in the unit of its measure, as exactly as it was set: ``−2 points``."""
    style = _BY_UNIT.get(unit) or word_of(name, unit).style
    factor, ending = {
        "share": (100, " %"),
        "points": (100, " points"),
        "percent": (1, " %"),
        "ratio": (1, "×"),
        "ms": (1, " ms"),
    }.get(style, (0, ""))
    if not factor:
        return _write(value, style, unit) if style != "plain" else f"{value:g}".replace("-", "−")
    return f"{value * factor:{'+' if style == 'points' else ''}g}{ending}".replace("-", "−")


def limit(name: str, value: float, direction: str, unit: str = "1") -> str:
    """The same with its direction: ``at least −2 points``."""
    return f"{direction.replace('_', ' ')} {limit_written(name, value, unit)}"


def _style(measure: Measure) -> Style:
    return _BY_UNIT.get(measure.unit) or word_of(measure.name, measure.unit).style


def _write(value: float | None, style: Style, unit: str) -> str:
    if value is None:
        return figures.NOTHING
    writers: dict[str, Callable[[float], str]] = {
        "share": figures.percent,
        "points": figures.points,
        "ratio": figures.times,
        "bytes": figures.size,
        "money": figures.money,
        "count": figures.count,
        "seconds": figures.duration,
        "ms": lambda v: f"{figures.figure(v)} ms",
        "rate": lambda v: f"{figures.figure(v)} texts/s",
        "percent": lambda v: f"{figures.figure(v, places=1)} %",
    }
    if style in writers:
        return writers[style](value)
    return figures.figure(value) + (f" {unit}" if unit in _PLAIN_UNITS else "")
