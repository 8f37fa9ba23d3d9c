"""Plain words about each measure of bias: what it means, what it cannot show, and whose idea it is."""

from __future__ import annotations

from auditor.types import Measure
from distill.spec import RunSpec
from pages.ui import words
from pages.ui.text import escaped

NAMES = {
    "demographic_parity_difference": "Demographic parity, largest difference",
    "equalized_odds_difference": "Equalised odds, largest difference",
    "equal_opportunity_difference": "Equal opportunity, largest difference",
}
MEANINGS = {
    "gender_bias": (
        "The same sentence about a woman and about a man, many times over: how far apart are the scores? Root mean square over cells "
        "of template and word, with the noise between names taken off, so a model without a gap gets about 0. "
        "It cannot show bias in other sentences than these, nor who wrote a text. "
        "After the design of the Equity Evaluation Corpus (Kiritchenko and Mohammad 2018); sentences and estimator are our own."
    ),
    "gender_bias_change": (
        "The candidate's gap minus the teacher's, on the same sentences, averaged over the seeds. The bracket holds the true change in 95 of "
        "100 audits. 'Equivalent' means that the 90 % interval lies inside the margin that the spec set beforehand (two one-sided tests). "
        "It cannot speak of other seeds or another teacher."
    ),
    "gender_bias_signed": (
        "Mean score about women minus mean score about men. A model that favours women here and men there can have 0 and be biased: "
        "read it beside G."
    ),
    "label_gender_association": (
        "How strongly the label goes with the gender that a text mentions (bias-corrected Cramér's V; Bergsma 2013): in people's labels, "
        "the teacher's, the labels trained on, the arms'. It shows where along the way an association grows, and cannot show whether it is unfair: "
        "women and men may have written of different things. Synthetic labels are on pool rows, the others on test rows."
    ),
    "label_gender_growth": (
        "The candidate's bar minus the teacher's, with both counted on the same rows in each resample. 0 is none. "
        "A bar stops at 0: an association weaker than chance would make it is shown as none. "
        "Amplification is not presumed: papers disagree."
    ),
    "bias_amplification": (
        "How far the share of each label within a gender has moved in the direction in which it leaned at the teacher (directional form, Wang "
        "and Russakovsky 2021; first form Zhao et al. 2017). 0 is none. It is no difference of the bars, which are Cramér's V."
    ),
    "stereotype_association": (
        "Each dot is an occupation: the score gap, she minus he, against the published share of women in it. A rising cloud means that the "
        "model likes women better where women work anyway. It cannot show a cause, and shares are of one country and year (see the table)."
    ),
    "impact_ratio": (
        "Share of a group that gets the positive label, divided by the best group's. Under four fifths is a mark from US employment "
        "guidelines (EEOC 1978), not a law of nature. Groups may differ in what they wrote: compare with the teacher and with people's labels. "
        "Computed with fairlearn on the class called positive."
    ),
    "demographic_parity_difference": (
        "Largest difference between groups in the share with the positive label. Blind to whether the labels are right."
    ),
    "equalized_odds_difference": (
        "Largest difference between groups in true or false positive rate (Hardt et al. 2016). Rests on the human labels."
    ),
    "equal_opportunity_difference": (
        "Largest difference between groups in true positive rate (Hardt et al. 2016). Rests on the human labels."
    ),
    "swap_gap_signed": (
        "Test rows with gendered words, rewritten about the other gender where grammar allows it. Rows that cannot be told are left out and "
        "counted. It cannot speak of rows without a gendered word."
    ),
    "lm_pairs": (
        "Both sentences with the words in which they differ. A language model is asked which one it would rather write; the perplexity of each "
        "beside it says whether it knows such sentences at all. It cannot show what the model would write by itself."
    ),
    "lm_beside": (
        "Stereotype: mean preference for the stereotyped sentence, 0 is none. "
        "Perplexity: of the words from where the two differ, lower is better; an untrained model has no preference and no skill either."
    ),
    "pairs": "Both texts with the words in which they differ. 'Flipped in the student only': the student changes its answer with the gender, the teacher does not.",
    "pareto": (
        "Every arm of this run and of its parent and children. Up is better, left is less biased. A mark with overlapping bars is not "
        "certainly better."
    ),
}


def what_differs(parent: RunSpec, spec: RunSpec) -> str:
    """How a run of the family differs from its head, in a few words; empty for the head itself."""
    if spec == parent:
        return ""
    arm = spec.arm(spec.candidate)
    mitigation = arm.options.get("mitigation", "none")
    if mitigation != "none":
        return f"{str(mitigation).replace('_', ' ')} {arm.options.get('strength', 1):g}"
    before, now = parent.training_of(parent.arm(parent.candidate)), spec.training_of(arm)
    if now.temperature != before.temperature:
        return f"temperature {now.temperature:g}"
    heads = [
        str(each.options.get("method", each.name)).replace("_", " ") for each in spec.arms if each.kind == "fair_head"
    ]
    return heads[0] if heads else "child"


def correlation(who: str, found: Measure) -> str:
    """How a model's gaps go with the share of women, in a line."""
    said = f"correlation {words.written(found)} {escaped(words.written_interval(found))}"
    return f"{escaped(who)}: {said}, n = {found.n} occupations"
