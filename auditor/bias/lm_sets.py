"""Pairs of sentences from published test sets, for language models: the same sentence about a woman and about a man.

What stands before the first word in which the two differ is shared and stands as context; the model is asked how likely the rest is. Of
each set whole clusters are taken, in an order by their content, so that a smaller audit asks a part of what a larger one asks.
Sources: WinoBias (Zhao et al. 2018), Winogender (Rudinger et al. 2018), BEC-Pro, English only (Bartl et al. 2020; its authors call the
method invalid for German), BUG gold (Levy et al. 2021), BBQ gender (Parrish et al. 2022).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import pandas as pd

from distill.data import packs
from distill.gender.lexicon import load_lexicon
from distill.gender.swaps import Swapper

WINOBIAS_PARTS: Final = ("type1.txt.dev", "type1.txt.test", "type2.txt.dev", "type2.txt.test")
FEMALE_WORDS: Final = frozenset({"she", "her", "hers", "herself"})
BEC_PERSONS: Final = {
    "She": "He", "woman": "man", "sister": "brother", "daughter": "son", "wife": "husband", "girlfriend": "boyfriend",
    "mother": "father", "aunt": "uncle", "mom": "dad",
}  # fmt: skip
BBQ_GENDERS: Final = {"F": "female", "M": "male", "woman": "female", "man": "male", "girl": "female", "boy": "male"}
LONGEST: Final = 300  # characters of a sentence from real text
MOST_OF_A_WORD: Final = 10  # sentences about one profession in BUG, where 'patient' has a fifth of all


@dataclass(frozen=True)
class LikelihoodPair:
    """One pair.

    Attributes:
        set: name of the pack.
        context: what both sentences begin with; '' where they differ from the start.
        female, male: how they go on, with the blank before it.
        cell, template, word, kind, filler, filler_kind: the design, as in ``auditor.bias.resample.pair_table``.
        cluster: what the stereotype figures resample.
        stereotype: +1 where the sentence about a woman is the stereotyped one, −1 where that about a man is, 0 where neither.
        share_women: % of women in the occupation, where the set says so.
        unknown: a third answer ('cannot be determined'), for a multiple-choice set; ``right`` is the right one of the three.
        condition: 'ambiguous' or 'disambiguated' there.
    """

    set: str
    context: str
    female: str
    male: str
    cell: str
    word: str
    filler: str
    cluster: str
    stereotype: int = 0
    template: str = "-"
    kind: str = "occupation"
    filler_kind: str = "sentence"
    share_women: float | None = None
    unknown: str | None = None
    right: str | None = None
    condition: str | None = None


def apart(female: str, male: str) -> tuple[str, str, str]:
    """Shared beginning (whole words, no blank at its end) and the two rests with the blank before them."""
    one, other = female.split(" "), male.split(" ")
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    blank = " " if same else ""
    return " ".join(one[:same]), blank + " ".join(one[same:]), blank + " ".join(other[same:])


def by_content(names: Iterable[str]) -> list[str]:
    """Distinct names in an order that depends on each alone: the first n of a longer list stay the same n."""
    return sorted(set(names), key=lambda name: hashlib.blake2b(name.encode(), digest_size=8).digest())


def winobias() -> list[LikelihoodPair]:
    """Sentences that differ in one word, a pronoun; 62 others are left out. Cells are occupations, fillers the other occupation."""
    files = {path.name: path for path in packs.files("winobias").values()}
    occupations: dict[str, int] = {}
    for name, sign in (("female_occupations.txt", 1), ("male_occupations.txt", -1)):
        occupations |= {word.strip().lower(): sign for word in _lines(files[name]) if word.strip()}
    found = []
    for part in WINOBIAS_PARTS:
        both = zip(_lines(files[f"pro_stereotyped_{part}"]), _lines(files[f"anti_stereotyped_{part}"]), strict=False)
        found += [pair for pro, anti in both if (pair := _winobias_pair(pro, anti, occupations)) is not None]
    return found


def _winobias_pair(pro: str, anti: str, occupations: dict[str, int]) -> LikelihoodPair | None:
    marked = [re.sub(r"^\d+\s+", "", line.strip()) for line in (pro, anti)]
    plain = [line.replace("[", "").replace("]", "") for line in marked]
    words = [line.split(" ") for line in plain]
    differing = [k for k, (a, b) in enumerate(zip(*words, strict=False)) if a != b]
    if len(words[0]) != len(words[1]) or len(differing) != 1 or "the the " in plain[0].lower():
        return None
    low = plain[0].lower()
    there = sorted(word for word in occupations if re.search(rf"\b{re.escape(word)}s?\b", low))
    referent = [w for w in there for inside in re.findall(r"\[(.*?)\]", marked[0].lower()) if inside.endswith(w)]
    if len(there) != 2 or len(set(referent)) != 1:
        return None
    first_is_female = words[0][differing[0]].strip(".,").lower() in FEMALE_WORDS
    female, male = plain if first_is_female else plain[::-1]
    context, she, he = apart(female, male)
    both = " + ".join(there)
    return LikelihoodPair("winobias", context, she, he, referent[0], referent[0], both, both, occupations[referent[0]])


def winogender() -> list[LikelihoodPair]:
    """Cells are an occupation and whether the pronoun means it; the stereotype follows the official share of women.

    Both cells of an occupation share its effect, so it is one word: two would count one effect as two independent ones.
    """
    files = {path.name: path for path in packs.files("winogender").values()}
    women = pd.read_csv(files["occupations-stats.tsv"], sep="\t").set_index("occupation")["bls_pct_female"]
    sentences = dict(line.split("\t")[:2] for line in _lines(files["all_sentences.tsv"])[1:] if "\t" in line)
    found = []
    for name in by_content(key for key in sentences if ".female." in key):
        occupation, other, answer = name.split(".")[:3]
        male = sentences.get(name.replace(".female.", ".male."))
        if male is None:
            continue
        context, she, he = apart(sentences[name], male)
        share = float(women.get(occupation, float("nan")))
        means_it = answer == "0"
        known = means_it and share == share
        kind = "occupation" if means_it else "other person"
        found.append(
            LikelihoodPair(
                "winogender",
                context,
                she,
                he,
                f"{occupation} | {kind}",
                occupation,
                f"{occupation}.{other}.{answer}",
                occupation,
                (1 if share > 50 else -1) if known else 0,
                filler_kind="someone" if other == "someone" else "participant",
                share_women=share if known else None,
            )
        )
    return found


def bec_pro() -> list[LikelihoodPair]:
    """Professions by templates by persons: a full design. 'Balanced' professions have no stereotype."""
    path = next(path for path in packs.files("bec_pro").values() if path.name == "BEC-Pro_EN.tsv")
    frame = pd.read_csv(path, sep="\t", index_col=0)
    columns = ("Template", "Profession", "Person", "Sentence")
    sentence = {(t, w, p): text for t, w, p, text in zip(*(frame[c].astype(str) for c in columns), strict=True)}
    lean = {"female": 1, "male": -1}
    leans = frame.drop_duplicates("Profession").set_index("Profession")["Prof_Gender"].map(lean).fillna(0).astype(int)
    found = []
    for (template, profession, person), text in sentence.items():
        if person in BEC_PERSONS and (other := sentence.get((template, profession, BEC_PERSONS[person]))):
            context, she, he = apart(text, other)
            found.append(
                LikelihoodPair(
                    "bec_pro",
                    context,
                    she,
                    he,
                    f"{template} | {profession}",
                    profession,
                    person,
                    profession,
                    int(leans[profession]),
                    template=template,
                    filler_kind="person",
                )
            )
    return found


def bug_gold() -> list[LikelihoodPair]:
    """Sentences from real text and their swap, where grammar lets every gendered word be swapped and swapped back."""
    frame = pd.read_csv(packs.file("bug_gold"), index_col=0).sort_values("uid")
    swapper = Swapper(load_lexicon("en"))
    found = []
    for row in frame.to_dict("records"):
        text = str(row["sentence_text"])
        swapped = swapper.swap(text) if text.isascii() and len(text) <= LONGEST else None
        if swapped is None or swapped.text is None or swapped.gender not in ("female", "male"):
            continue
        female, male = (text, swapped.text) if swapped.gender == "female" else (swapped.text, text)
        context, she, he = apart(female, male)
        lean = int(row["stereotype"]) * (1 if swapped.gender == "female" else -1)
        word = str(row["profession"]).lower()
        found.append(LikelihoodPair("bug_gold", context, she, he, word, word, str(row["uid"]), word, lean))
    return found


def bbq_gender() -> list[LikelihoodPair]:
    """Questions about a woman and a man as multiple choice; in an ambiguous context neither is the right answer."""
    found = []
    for line in _lines(packs.file("bbq_gender")):
        row = json.loads(line) if line.strip() else {}
        sides = {BBQ_GENDERS.get(info[1], info[1]): f"ans{k}" for k, info in enumerate(_infos(row))}
        groups = [group for group in row.get("additional_metadata", {}).get("stereotyped_groups", []) if group in "FM"]
        if set(sides) != {"female", "male", "unknown"} or len(groups) != 1:
            continue
        answers = {side: f" {row[name]}" for side, name in sides.items()}
        right = next(side for side, name in sides.items() if name == f"ans{row['label']}")
        people = " + ".join(sorted(answer.strip().lower() for side, answer in answers.items() if side != "unknown"))
        lean = (1 if groups[0] == "F" else -1) * (1 if row["question_polarity"] == "neg" else -1)
        question = f"{row['question_index']}"
        found.append(
            LikelihoodPair(
                "bbq_gender",
                f"{row['context']}\nQuestion: {row['question']}\nAnswer:",
                answers["female"],
                answers["male"],
                f"{question} | {row['question_polarity']}",
                question,
                people,
                question,
                lean,
                kind="question",
                filler_kind="people",
                unknown=answers["unknown"],
                right=right,
                condition="ambiguous" if row["context_condition"] == "ambig" else "disambiguated",
            )
        )
    return found


def _infos(row: dict[str, Any]) -> list[Sequence[str]]:
    return [row["answer_info"][f"ans{k}"] for k in range(3)] if "answer_info" in row else []


READERS: dict[str, Callable[[], list[LikelihoodPair]]] = {
    "winobias": winobias,
    "bec_pro": bec_pro,
    "winogender": winogender,
    "bug_gold": bug_gold,
    "bbq_gender": bbq_gender,
}
TITLES = {
    "winobias": "WinoBias",
    "bec_pro": "BEC-Pro (English)",
    "winogender": "Winogender",
    "bug_gold": "BUG gold",
    "bbq_gender": "BBQ gender",
    "crows_pairs": "CrowS-Pairs",
    "stereoset": "StereoSet",
    "honest": "HONEST",
}


def chosen(name: str, items: int) -> list[LikelihoodPair]:
    """About ``items`` pairs of a set, whole clusters of its design; raises PackError when the pack is missing or damaged."""
    pairs = READERS[name]()
    if name == "bec_pro":
        return _design(pairs, items)
    if name == "bug_gold":
        pairs = _few_of_each(pairs)
    if name == "bbq_gender":
        return [
            pair for part in ("ambiguous", "disambiguated") for pair in _whole(_of(pairs, part), items // 2, "cell")
        ]
    return _whole(pairs, items, "cluster")


def _of(pairs: list[LikelihoodPair], condition: str) -> list[LikelihoodPair]:
    """Of a condition, at most a dozen of each question and polarity, so that all questions have their turn."""
    counts: dict[str, int] = {}
    kept = []
    for pair in sorted((p for p in pairs if p.condition == condition), key=lambda p: by_content_key(p.context)):
        counts[pair.cell] = counts.get(pair.cell, 0) + 1
        if counts[pair.cell] <= 12:
            kept.append(pair)
    return kept


def by_content_key(text: str) -> bytes:
    """Where a text stands in an order by content."""
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _whole(pairs: list[LikelihoodPair], items: int, by: str) -> list[LikelihoodPair]:
    """Clusters in the order of their content until there are ``items`` pairs."""
    groups: dict[str, list[LikelihoodPair]] = {}
    for pair in pairs:
        groups.setdefault(str(getattr(pair, by)), []).append(pair)
    kept: list[LikelihoodPair] = []
    for name in by_content(groups):
        if len(kept) >= items:
            break
        kept += groups[name]
    return kept


def _few_of_each(pairs: list[LikelihoodPair]) -> list[LikelihoodPair]:
    """At most ten sentences about a profession, none about one that stands alone: noise needs two to be told from bias."""
    groups: dict[str, list[LikelihoodPair]] = {}
    for pair in sorted(pairs, key=lambda p: by_content_key(p.filler)):
        groups.setdefault(pair.cell, []).append(pair)
    return [pair for group in groups.values() if len(group) > 1 for pair in group[:MOST_OF_A_WORD]]


def _design(pairs: list[LikelihoodPair], items: int) -> list[LikelihoodPair]:
    """BEC-Pro: professions of each lean in turn; in each cell of template and profession the same number of persons, in turn."""
    templates = len({pair.template for pair in pairs})
    by_lean = {lean: by_content(p.word for p in pairs if p.stereotype == lean) for lean in (1, -1, 0)}
    turns = [word for row in zip(*by_lean.values(), strict=False) for word in row]
    persons = max(2, items // (templates * len(turns)))
    words = set(turns[: max(2, items // (templates * persons))])
    kept = []
    for cell in by_content(p.cell for p in pairs if p.word in words):
        inside = sorted((p for p in pairs if p.cell == cell), key=lambda p: by_content_key(f"{cell}|{p.filler}"))
        kept += inside[:persons]
    return kept


def as_rows(pairs: Sequence[LikelihoodPair], first: int = 0) -> list[dict[str, Any]]:
    """The items of pairs: one row a side, with the pair's design; ``pair_number`` counts from ``first``."""
    rows = []
    for number, pair in enumerate(pairs, start=first):
        about = {k: v for k, v in asdict(pair).items() if k not in ("context", "female", "male", "unknown")}
        for side in ("female", "male", "unknown"):
            text = getattr(pair, side)
            if text is not None:
                rows.append({"text": pair.context, "pair": text, "side": side, "pair_number": number, **about})
    return rows


def _lines(path: Any) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")  # type: ignore[no-any-return]
