"""The words of the audit: templates, noun phrases, names, occupations and swap lists, read from data files and merged with the user's."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from distill.errors import DataError

DATA = Path(__file__).parent / "data"
Gender = Literal["female", "male"]
NAME_COLUMNS = ("name", "gender", "origin", "frequency")
OCCUPATION_COLUMNS = ("occupation", "share_women", "source", "year")
# Plain lists of words in a swap list, merged by appending.
SWAP_WORDS = ("titles", "interjections", "determiners", "closed_class", "receiving_verbs", "not_as_names")
WORD_SLOTS = frozenset({"word", "a_word"})


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Template(_Entry):
    """Sentences that say the same in several wordings; ``kind`` names the list of words that fill it."""

    id: str = Field(min_length=1)
    kind: str = Field(min_length=1)
    wordings: tuple[str, ...] = Field(min_length=1)


class Word(_Entry):
    """An emotion, event or occupation; ``female`` and ``male`` are its forms where the language inflects it."""

    text: str = Field(min_length=1)
    group: str = ""
    female: str | None = None
    male: str | None = None


class FillerPair(_Entry):
    """A noun phrase and its counterpart: one text for every slot, or one text a slot."""

    female: str | dict[str, str]
    male: str | dict[str, str]
    kinds: tuple[str, ...] | None = None


class Name(_Entry):
    """A first name; ``frequency`` is any count or share that is comparable within its origin."""

    name: str = Field(min_length=1)
    gender: Gender
    origin: str = Field(min_length=1)
    frequency: float = Field(gt=0)
    language: str = "en"


class Occupation(_Entry):
    """An occupation with its published share of women, 0 to 1."""

    occupation: str = Field(min_length=1)
    share_women: float = Field(ge=0, le=1)
    source: str = Field(min_length=1)
    year: int = Field(ge=1900, le=2100)
    language: str = "en"
    female: str | None = None
    male: str | None = None


class Contextual(_Entry):
    """A word whose counterpart depends on its place: before a noun (``determiner``) or alone (``pronoun``)."""

    gender: Gender
    pronoun: str
    determiner: str | None = None


class SwapList(_Entry):
    """What is swapped with what in one language; pairs are (female, male). ``frames`` put a person beside a text: '{subj} said: {text}'."""

    pairs: tuple[tuple[str, str], ...] = ()
    contextual: dict[str, Contextual] = {}
    asymmetric: dict[Gender, tuple[str, ...]] = {}
    titles: tuple[str, ...] = ()
    interjections: tuple[str, ...] = ()
    determiners: tuple[str, ...] = ()
    closed_class: tuple[str, ...] = ()
    receiving_verbs: tuple[str, ...] = ()
    not_as_names: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()


class _File(_Entry):
    """One YAML file; every section may be left out."""

    language: str = Field(min_length=2)
    possessive: str | None = None
    templates: tuple[Template, ...] = ()
    words: dict[str, tuple[Word, ...]] = {}
    pairs: tuple[FillerPair, ...] = ()
    names: tuple[Name, ...] = ()
    occupations: tuple[Occupation, ...] = ()
    swaps: SwapList | None = None


@dataclass(frozen=True)
class Lexicon:
    """All words of one language.

    Attributes:
        names: columns name, gender, origin, frequency.
        occupations: columns occupation, share_women (0 to 1), source, year, female, male.
        swaps: None where no swap list exists for the language.
    """

    language: str
    possessive: str
    templates: tuple[Template, ...]
    words: dict[str, tuple[Word, ...]]
    pairs: tuple[FillerPair, ...]
    names: pd.DataFrame
    occupations: pd.DataFrame
    swaps: SwapList | None

    def words_of(self, kind: str) -> tuple[Word, ...]:
        """The words that fill templates of ``kind``; occupations come from their own table."""
        if kind != "occupation":
            return self.words.get(kind, ())
        rows = self.occupations.itertuples(index=False)
        return tuple(Word(text=r.occupation, group="occupation", female=r.female, male=r.male) for r in rows)


def load_lexicon(language: str = "en", extra: Sequence[Path | str] = ()) -> Lexicon:
    """The bundled words of ``language`` merged with the user's files.

    Args:
        language: two-letter code, as the files name it.
        extra: files (.yaml, .yml, .csv) or directories of such files. Later entries are added; a template with a known id replaces it.

    Raises:
        DataError: a file that cannot be read or breaks the format, or a language that no file speaks.
    """
    files = [*_bundled(), *_read_all(extra)]
    known = sorted({file.language for file in files if file.templates or file.swaps})
    if language not in known:
        raise DataError(
            f"There are no bias templates and no swap list for the language '{language}'.",
            hint=f"Known: {', '.join(known)}. Add a YAML file with 'language: {language}' as extra data.",
        )
    mine = [file for file in files if file.language == language]
    lexicon = Lexicon(
        language=language,
        possessive=next((f.possessive for f in reversed(mine) if f.possessive), "{}"),
        templates=tuple({t.id: t for file in mine for t in file.templates}.values()),
        words=_merge_words(mine),
        pairs=tuple({p.model_dump_json(): p for file in mine for p in file.pairs}.values()),
        names=_names_frame(n for f in files for n in f.names if n.language == language),
        occupations=_occupations_frame(o for f in files for o in f.occupations if o.language == language),
        swaps=_merge_swaps([file.swaps for file in mine if file.swaps is not None]),
    )
    _validate_templates(lexicon)
    return lexicon


@lru_cache(maxsize=1)
def _bundled() -> tuple[_File, ...]:
    return tuple(_read_all([DATA]))


def _read_all(paths: Iterable[Path | str]) -> list[_File]:
    files: list[_File] = []
    for path in map(Path, paths):
        if not path.exists():
            raise DataError(
                f"The bias data '{path}' does not exist.", hint="Give a .yaml or .csv file, or a directory of them."
            )
        inside = sorted(p for p in path.iterdir() if p.suffix in {".yaml", ".yml", ".csv"}) if path.is_dir() else [path]
        files.extend(_read_csv(p) if p.suffix == ".csv" else _read_yaml(p) for p in inside)
    return files


def _read_yaml(path: Path) -> _File:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        first = " ".join(str(error).split())
        raise DataError(f"The bias data '{path.name}' is not readable YAML: {first}.", hint="Mend the file.") from error
    if not isinstance(content, dict):
        raise DataError(
            f"The bias data '{path.name}' is not a mapping of sections.", hint="Start it with 'language: xx'."
        )
    if isinstance(content.get("words"), dict):
        content["words"] = {
            k: [{"text": w} if isinstance(w, str) else w for w in v] if isinstance(v, list) else v or ()
            for k, v in content["words"].items()
        }
    for section in ("names", "occupations"):
        if isinstance(content.get(section), list):
            content[section] = [_with_language(row, content.get("language")) for row in content[section]]
    return _validated(path, content)


def _with_language(row: Any, language: Any) -> Any:
    return {"language": language, **row} if isinstance(row, dict) else row


def _read_csv(path: Path) -> _File:
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise DataError(
            f"The bias data '{path.name}' is not a readable CSV file.", hint="Save it as UTF-8 with a header."
        ) from error
    for section, columns, model in (("names", NAME_COLUMNS, Name), ("occupations", OCCUPATION_COLUMNS, Occupation)):
        if columns[0] in frame.columns:
            missing = [c for c in columns if c not in frame.columns]
            if missing:
                raise DataError(
                    f"The bias data '{path.name}' lacks the column '{missing[0]}'.",
                    hint=f"Needed: {', '.join(columns)}.",
                )
            keep = [c for c in frame.columns if c in model.model_fields]
            rows = [{k: v for k, v in row.items() if v != ""} for row in frame[keep].to_dict("records")]
            return _validated(path, {"language": "any", section: rows})
    raise DataError(
        f"The bias data '{path.name}' has neither a column 'name' nor a column 'occupation'.",
        hint=f"Names need {', '.join(NAME_COLUMNS)}; occupations need {', '.join(OCCUPATION_COLUMNS)}.",
    )


def _validated(path: Path, content: dict[str, Any]) -> _File:
    try:
        return _File.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = " > ".join(str(part + 1) if isinstance(part, int) else str(part) for part in first["loc"]) or "the file"
        raise DataError(
            f"The bias data '{path.name}' is wrong at {where}: {first['msg'][0].lower()}{first['msg'][1:]}.",
            hint="See distill/gender/data/README.md for the format; words that YAML reads as true or false (on, off, yes, no) need quotes.",
        ) from error


def _merge_words(files: list[_File]) -> dict[str, tuple[Word, ...]]:
    merged: dict[str, dict[str, Word]] = {}
    for file in files:
        for kind, words in file.words.items():
            merged.setdefault(kind, {}).update({w.text: w for w in words})
    return {kind: tuple(words.values()) for kind, words in merged.items()}


def _merge_swaps(lists: list[SwapList]) -> SwapList | None:
    if not lists:
        return None
    asymmetric: dict[Gender, tuple[str, ...]] = {}
    for one in lists:
        for gender, words in one.asymmetric.items():
            asymmetric[gender] = (*asymmetric.get(gender, ()), *words)
    merged = SwapList(
        pairs=tuple(dict.fromkeys((f.lower(), m.lower()) for one in lists for f, m in one.pairs)),
        contextual={k.lower(): v for one in lists for k, v in one.contextual.items()},
        asymmetric=asymmetric,
        frames=tuple(dict.fromkeys(frame for one in lists for frame in one.frames)),
        **{section: tuple(w.lower() for one in lists for w in getattr(one, section)) for section in SWAP_WORDS},
    )
    listed = [word for pair in merged.pairs for word in pair]
    twice = next((word for word in listed if listed.count(word) > 1 or word in merged.contextual), None)
    if twice is not None:
        raise DataError(
            f"The swap list names '{twice}' twice, so swapping back would not give the first text.",
            hint="Keep one counterpart, or list the word as asymmetric.",
        )
    return merged


def _names_frame(names: Iterable[Name]) -> pd.DataFrame:
    by_name: dict[str, Name] = {}
    for name in names:
        before = by_name.setdefault(name.name, name)
        if before.gender != name.gender:
            raise DataError(
                f"The first name '{name.name}' is listed as female and as male.", hint="Keep names of one gender only."
            )
    return pd.DataFrame([n.model_dump(include=set(NAME_COLUMNS)) for n in by_name.values()], columns=list(NAME_COLUMNS))


def _occupations_frame(occupations: Iterable[Occupation]) -> pd.DataFrame:
    by_title = {o.occupation: o for o in occupations}
    columns = [*OCCUPATION_COLUMNS, "female", "male"]
    frame = pd.DataFrame([o.model_dump(include=set(columns)) for o in by_title.values()], columns=columns)
    return frame.astype({"female": object, "male": object})


def _validate_templates(lexicon: Lexicon) -> None:
    known = {slot for p in lexicon.pairs for side in (p.female, p.male) if isinstance(side, dict) for slot in side}
    persons = known or {"subj", "obj", "poss"}
    for template in lexicon.templates:
        if not lexicon.words_of(template.kind):
            raise DataError(
                f"The template '{template.id}' needs words of the kind '{template.kind}', and there are none.",
                hint=f"Add 'words: {template.kind}:'.",
            )
        for wording in template.wordings:
            slots = _slots(template.id, wording)
            unknown = slots - persons - WORD_SLOTS
            if unknown:
                raise DataError(
                    f"The template '{template.id}' has the unknown slot '{{{min(unknown)}}}'.",
                    hint=f"Known: {', '.join(sorted(persons | WORD_SLOTS))}.",
                )
            if not slots & persons or not slots & WORD_SLOTS:
                raise DataError(
                    f"A wording of the template '{template.id}' lacks a person slot or a word slot.",
                    hint="Each wording needs one of each.",
                )
    for frame in lexicon.swaps.frames if lexicon.swaps is not None else ():
        slots = _slots("frames", frame)
        if not slots - {"text"} <= persons or frame.count("{text}") != 1 or len(slots) < 2:
            raise DataError(
                f"The frame '{frame}' needs {{text}} once and one of {', '.join(f'{{{slot}}}' for slot in sorted(persons))}.",
                hint="Such as '{subj} said: {text}'.",
            )
    for pair in lexicon.pairs:
        for side in (pair.female, pair.male):
            if isinstance(side, dict) and set(side) != persons:
                raise DataError(
                    f"The noun phrase '{next(iter(side.values()), '')}' does not fill the slots {', '.join(sorted(persons))}.",
                    hint="Give a text for each slot.",
                )


def _slots(template: str, wording: str) -> set[str]:
    try:
        return {field for _, field, _, _ in string.Formatter().parse(wording) if field is not None}
    except ValueError as error:
        raise DataError(
            f"A wording of the template '{template}' has an unpaired brace.", hint="Write slots as {subj}."
        ) from error
