"""Reads rows from a file or a hub data set. The format is seen in the content; a file's name says nothing."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from distill.data.table import Table
from distill.errors import DataError
from distill.files import file_digest
from distill.spec import FileSource, HubSource

Format = Literal["csv", "tsv", "jsonl", "parquet"]
_FORMATS_HINT = "Give CSV, TSV, JSONL or Parquet."
_SNIFF_BYTES = 65_536
_FOREIGN = {  # first bytes of files that people take for tables
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "gzip-compressed",
    b"BZh": "bzip2-compressed",
    b"\x28\xb5\x2f\xfd": "zstd-compressed",
    b"%PDF": "a PDF",
    b"SQLite format 3": "an SQLite database",
    b"ARROW1": "an Arrow file",
    b"\x80\x04": "a Python pickle, which is refused",
    b"\x80\x05": "a Python pickle, which is refused",
}
_LATIN_SHARE = 0.25  # Latin scripts write fewer of their letters than this beyond ASCII; all others write more
_OTHER = ["cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"]
# charset_normalizer finds é and č equally plausible, so the code pages of Latin scripts are told apart by the letters they are for
_LATIN = {
    "cp1252": "éèêàâçùûîôëïäöüßñáíóúåæøãõ¿¡«»’‘“”–…€£°",
    "cp1250": "ąćęłńóśźżčďěňřšťůžýáíéőűöüăâîşţđ’„”–…",
    "cp1254": "ğışçöüİŞâî’“”–…",
}


def read_file(source: FileSource, name: str | None = None) -> Table:
    """Read a CSV, TSV, JSONL or Parquet file.

    Args:
        source: path, and format and encoding where the user knows better.
        name: what to call the file in sentences; its own name when None.

    Raises:
        DataError: missing, empty, of another kind, truncated, or broken at a line that is named.
    """
    path = Path(source.path).expanduser()
    name = name or path.name
    if path.is_dir() or not path.exists():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(f"{path} {what}.", hint="Give the path of one file: CSV, TSV, JSONL or Parquet.")
    try:
        with path.open("rb") as handle:
            head = handle.read(_SNIFF_BYTES)
        digest = file_digest(path)
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}.", hint="Check the file's rights.") from error
    _refuse_foreign(head, name)
    if head.startswith(b"PAR1") or source.format == "parquet":
        return _read_parquet(path, name, digest)
    text, encoding, notes = _decode(path.read_bytes(), source.encoding, name)
    wanted = None if source.format == "auto" else source.format
    if wanted == "jsonl" or (wanted is None and _looks_like_json(text)):
        frame, first = _read_jsonl(text, name), 1
        kind = "jsonl"
    else:
        kind, separator = _separator(text, wanted)
        if kind == "csv" and separator != ",":
            notes.append(f"The columns of {name} are separated by '{separator}'.")
        frame = _read_delimited(text, separator, name)
        first = 2
    if not len(frame):
        raise DataError(f"{name} has a header but no rows.", hint="Give at least a few rows.")
    # a quoted cell may hold line breaks: then line numbers would mislead
    lines_true = text.rstrip().count("\n") == len(frame) + first - 2
    return Table(frame, name, kind, encoding, digest, notes=tuple(notes), first_line=first if lines_true else None)


def read_hub(source: HubSource) -> Table:
    """Read a data set through the ``datasets`` library: a hub id, or a local folder that it understands.

    All splits are read when none is named, and kept as the data set's own.

    Raises:
        DataError: unreachable, unknown, or not readable without running its code.
    """
    import datasets

    try:
        loaded: Any = datasets.load_dataset(source.id, name=source.config, split=source.split, revision=source.revision)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise _explain_hub(error, source) from error
    parts = loaded if isinstance(loaded, dict) else {source.split or "": loaded}
    frames = []
    for split, part in parts.items():
        frame = part.to_pandas()
        for column, feature in part.features.items():
            if isinstance(feature, datasets.ClassLabel):  # the hub stores a number; people and teachers know the name
                frame[column] = [
                    None if v is None or v != v or v < 0 else feature.int2str(int(v)) for v in frame[column]
                ]
        frames.append(frame.assign(_split=str(split)))
    frame = pd.concat(frames, ignore_index=True)
    given = "_split" if source.split is None and len(parts) > 1 else None
    info = next(iter(parts.values())).info
    frame = frame if given else frame.drop(columns="_split")
    return Table(frame, source.id, "hub", licence=info.license or "not stated", given_split=given)


def _explain_hub(error: Exception, source: HubSource) -> DataError:
    """Why a hub data set could not be loaded, in a sentence."""
    kind, text = type(error).__name__, str(error).strip().split("\n")[0][:200]
    local = "Download the data elsewhere and give the file's path, or use a pack: `heirloom packs`."
    if kind == "DatasetNotFoundError" and "doesn't exist" in text and "cannot be accessed" not in text:
        return DataError(f"There is no data set '{source.id}' on the hub.", hint="Check the id, such as 'owner/name'.")
    if kind in {
        "OfflineModeIsEnabled",
        "ConnectionError",
        "ConnectTimeout",
        "DatasetNotFoundError",
        "LocalEntryNotFoundError",
    }:
        return DataError(f"The hub cannot be reached for '{source.id}' and there is no copy of it here.", hint=local)
    if "split" in text.lower() or "BuilderConfig" in text or "Config name" in text:
        return DataError(
            f"'{source.id}' cannot be read like this: {text.rstrip('.')}.",
            hint="Name a config and a split that it has.",
        )
    return DataError(f"'{source.id}' cannot be read: {text.rstrip('.') or kind}.", hint=local)


def _refuse_foreign(head: bytes, name: str) -> None:
    if not head.strip():
        raise DataError(f"{name} is empty.", hint=_FORMATS_HINT)
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            raise DataError(f"{name} is {what}, not a table that can be read here.", hint=_FORMATS_HINT)


def _read_parquet(path: Path, name: str, digest: str) -> Table:
    try:
        frame = pq.read_table(path).to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{name} is a truncated or damaged Parquet file.", hint="Copy it again: a Parquet file ends with its index."
        ) from error
    if not len(frame):
        raise DataError(f"{name} has no rows.", hint="Give at least a few rows.")
    return Table(frame, name, "parquet", "", digest)


def _decode(data: bytes, encoding: str | None, name: str) -> tuple[str, str, list[str]]:
    """The text, its encoding, and a note when that was guessed or cost characters."""
    if encoding:
        try:
            return data.decode(encoding).removeprefix("\ufeff"), encoding, []
        except LookupError as error:
            raise DataError(
                f"'{encoding}' is not a known encoding.", hint="Use 'utf-8', 'latin-1', 'cp1252' …"
            ) from error
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise DataError(
                f"{name} is not {encoding}: line {line} has a byte that does not fit.",
                hint="Leave the encoding empty to guess it.",
            ) from error
    for mark, known in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(known, "replace"), known, [f"{name} is UTF-16, not UTF-8; it was read as such."]
    if data[:_SNIFF_BYTES].count(0) > 0.2 * len(data[:_SNIFF_BYTES]):
        guess = _utf_16_order(data)
        return data.decode(guess, "replace"), guess, [f"{name} is not UTF-8; it was read as {guess}."]
    try:
        return data.decode("utf-8-sig"), "utf-8", []
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    guess = _guess_encoding(data)
    text = data.decode(guess, "replace")
    lost = text.count("\ufffd")
    cost = f", which cost {lost:,} characters" if lost else ""
    return text, guess, [f"{name} is not UTF-8 (first seen at line {line}); it was read as {guess}{cost}."]


def _guess_encoding(data: bytes) -> str:
    """The likeliest encoding, judged by the lines that have bytes beyond ASCII."""
    from charset_normalizer import from_bytes

    telling = re.findall(rb"[^\n]*[\x80-\xff][^\n]*", data[:4_000_000])[:400]
    sample = b"\n".join(line[:400] for line in telling)
    beyond = sum(byte >= 0x80 for byte in sample)
    letters = beyond + sum(chr(byte).isalpha() for byte in sample if byte < 0x80)
    if beyond >= _LATIN_SHARE * letters:
        best = from_bytes(sample, cp_isolation=_OTHER).best()
        if best:
            return best.encoding
    fit = {page: sum(map(sample.decode(page, "replace").count, typical)) for page, typical in _LATIN.items()}
    page = max(fit, key=lambda name: fit[name])
    # Latin-1 gives every byte a meaning, the code pages leave some without
    return page if "\ufffd" not in data.decode(page, "replace") else "latin_1"


def _utf_16_order(data: bytes) -> str:
    """Which of the two bytes of a character comes first, in text that is mostly Latin."""
    return "utf_16_be" if data[0:2000:2].count(0) > data[1:2000:2].count(0) else "utf_16_le"


def _looks_like_json(text: str) -> bool:
    first = text.lstrip("\ufeff \r\n\t")[:1]
    return first == "{" or (first == "[" and text.lstrip()[1:].lstrip()[:1] in "{]")


def _read_jsonl(text: str, name: str) -> pd.DataFrame:
    if text.lstrip()[:1] == "[":
        raise DataError(
            f"{name} is one JSON list, not JSONL.", hint="Write one object per line, without the brackets and commas."
        )
    rows: list[dict[str, Any]] = []
    # not splitlines(): that also breaks at U+2028 and other characters that JSON strings may hold
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(
                f"{name}, line {number} is not valid JSON.", hint="Each line must be one whole JSON object."
            ) from error
        if not isinstance(row, dict):
            raise DataError(
                f"{name}, line {number} is a {type(row).__name__}, not an object.",
                hint='Write lines such as {"text": "…", "label": "…"}.',
            )
        rows.append(row)
    return pd.DataFrame(rows, dtype=object)


def _separator(text: str, wanted: str | None) -> tuple[str, str]:
    """csv or tsv, and the character between the columns, as the header line shows it."""
    header = text.lstrip("\r\n").split("\n", 1)[0]
    if wanted == "tsv" or (
        wanted is None and header.count("\t") > max(header.count(","), header.count(";")) - 1 and "\t" in header
    ):
        return "tsv", "\t"
    outside_quotes = re.sub(r'"[^"]*"', "", header)
    return "csv", ";" if outside_quotes.count(";") > outside_quotes.count(",") else ","


def _read_delimited(text: str, separator: str, name: str) -> pd.DataFrame:
    if "\x00" in text:
        raise DataError(f"{name} holds NUL bytes, so it is not a text file.", hint=_FORMATS_HINT)
    header = [cell.strip() for cell in next(csv.reader(io.StringIO(text.lstrip()), delimiter=separator))]
    twice = [cell for cell in header if header.count(cell) > 1]
    if twice:
        raise DataError(f"{name} has two columns called '{twice[0]}'.", hint="Give each column a name of its own.")
    try:
        frame = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise _explain_parser(str(error), separator, name) from error
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes surplus cells for row names
        cells = len(header) + frame.index.nlevels
        raise _explain_parser(f"Expected {len(header)} fields in line 2, saw {cells}", separator, name)
    frame.columns = [str(column).strip() for column in frame.columns]
    return frame


def _explain_parser(message: str, separator: str, name: str) -> DataError:
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message)
    if found:
        expected, line, saw = found.groups()
        return DataError(
            f"{name}, line {line} has {saw} cells where the header has {expected}.",
            hint=f"Put cells that hold '{separator}' or line breaks between double quotes.",
        )
    row = re.search(r"EOF inside string starting at row (\d+)", message)
    if row:
        return DataError(
            f"{name}, line {int(row.group(1)) + 1} opens a quote that never closes.",
            hint="Close it, or double the quotes inside a cell.",
        )
    return DataError(f"{name} cannot be read as a table: {message.strip().rstrip('.')}.", hint=_FORMATS_HINT)
