"""Files as users have them: every encoding, separator and kind of damage, each with one sentence and its place."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pandas as pd
import pytest

from distill.data.readers import read_file, read_hub
from distill.data.table import Table
from distill.data.uploads import save_upload, upload_limit
from distill.errors import DataError
from distill.spec import FileSource, HubSource
from distill.workspace import Workspace


def read(path: Path, **options: str) -> Table:
    return read_file(FileSource.model_validate({"path": str(path), **options}))


def write(folder: Path, content: str | bytes, name: str = "data.bin") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("text,label\ngood,a\nbad,b\n", "csv"),
        ("text;label\r\ngood;a\r\nbad;b\r\n", "csv"),
        ("text\tlabel\ngood\ta\nbad\tb\n", "tsv"),
        ('{"text": "good", "label": "a"}\n\n{"text": "bad", "label": "b"}\n', "jsonl"),
        ("\ufefftext,label\ngood,a\nbad,b", "csv"),
    ],
)
def test_the_format_is_seen_in_the_content(tmp_path: Path, content: str, kind: str) -> None:
    table = read(write(tmp_path, content, "wrong.parquet"))
    assert table.format == kind and table.encoding == "utf-8"
    assert table.frame[["text", "label"]].to_numpy().tolist() == [["good", "a"], ["bad", "b"]]
    assert len(table.digest) == 64


def test_parquet_under_any_name(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a", "b"], "label": [0, 1]})
    path = tmp_path / "x.csv"
    frame.to_parquet(path)
    assert read(path, format="csv").format == "parquet"


def test_a_quoted_cell_may_hold_separators_and_line_breaks(tmp_path: Path) -> None:
    table = read(write(tmp_path, 'text,label\n"a, b\nc ""d""",x\nNA,y\n'))
    assert table.frame["text"].tolist() == ['a, b\nc "d"', "NA"]
    assert table.first_line is None


@pytest.mark.parametrize(
    ("text", "encoding", "guess"),
    [
        ("Le café était très agréable, à bientôt garçon", "latin_1", "cp1252"),
        ("it was “great” – really", "cp1252", "cp1252"),
        ("Wczoraj byliśmy w kinie, film był świetny, dziękuję", "cp1250", "cp1250"),
        ("Привет, как дела? Очень хорошая погода сегодня", "cp1251", "cp1251"),
        ("今日はとても良い天気ですね。映画を見ました", "shift_jis", "shift_jis"),
        ("El niño comió mucho; ¿qué pasó mañana?", "latin_1", "cp1252"),
        ("plain text in two bytes each", "utf-16-le", "utf_16_le"),
        ("déjà vu", "utf-16", "utf-16"),
    ],
)
def test_other_encodings_are_guessed_and_said(tmp_path: Path, text: str, encoding: str, guess: str) -> None:
    content = "text,label\n" + "".join(f'"{text} {i}",a\n' for i in range(5))
    table = read(write(tmp_path, content.encode(encoding)))
    assert table.frame["text"][0] == f"{text} 0"
    assert table.encoding == guess and "not UTF-8" in table.notes[0] and guess.split("_")[0] in table.notes[0].lower()


def test_a_named_encoding_is_obeyed(tmp_path: Path) -> None:
    path = write(tmp_path, "text,label\nna\u00efve,a\n".encode("latin-1"))
    assert read(path, encoding="latin-1").frame["text"][0] == "naïve" and not read(path, encoding="latin-1").notes
    with pytest.raises(DataError, match="line 2"):
        read(path, encoding="utf-8")
    with pytest.raises(DataError, match="'klingon' is not a known encoding"):
        read(path, encoding="klingon")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"text,label\n", "no rows"),
        (b"PK\x03\x04rest", "Excel"),
        (b"\x80\x04\x95rest", "pickle"),
        (b"\x1f\x8b\x08rest", "gzip"),
        (b"PAR1 and then it broke off", "truncated or damaged Parquet"),
        (b"text,label\na,b\nc,d,e\n", "line 3 has 3 cells where the header has 2"),
        (b'text,label\na,b\n"c,d\n', "line 3 opens a quote"),
        (b'{"text": "a"}\n{"text": \n', "line 2 is not valid JSON"),
        (b'{"text": "a"}\n[1, 2]\n', "line 2 is a list"),
        (b'[{"text": "a"}]', "one JSON list"),
        (b"text,text\na,b\n", "two columns called"),
        (b"a\x00b,label\nc,d\n", "NUL"),
        (b"text,label\na,b,c\nd,e,f\n", "3 cells"),
    ],
)
def test_damage_is_one_sentence_with_its_place(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        read(write(tmp_path, content))
    assert caught.value.hint and "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "none.csv")
    with pytest.raises(DataError, match="is a folder"):
        read(tmp_path)


def test_truncated_parquet(tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    pd.DataFrame({"text": [f"text {i}" for i in range(1000)]}).to_parquet(whole)
    with pytest.raises(DataError, match="truncated or damaged"):
        read(write(tmp_path, whole.read_bytes()[:-100]))


def test_cells_that_are_missing_are_empty(tmp_path: Path) -> None:
    assert read(write(tmp_path, "text,label\na,x\nb\n")).frame["label"].tolist() == ["x", ""]


def test_the_line_is_known_where_rows_are_lines(tmp_path: Path) -> None:
    assert read(write(tmp_path, "text,label\na,x\nb,y\n")).place(1) == "line 3"
    assert read(write(tmp_path, '{"text": "a"}\n{"text": "b"}')).place(1) == "line 2"
    assert read(write(tmp_path, "text,label\n\na,x\nb,y\n")).place(1) == "row 2"


def test_200_000_rows(tmp_path: Path) -> None:
    lines = "".join(f"the text of row {i},{i % 3}\n" for i in range(200_000))
    assert len(read(write(tmp_path, "text,label\n" + lines)).frame) == 200_000


def test_the_library_reads_a_local_folder_with_its_splits(tmp_path: Path) -> None:
    for split, n in (("train", 4), ("test", 2)):
        rows = [{"text": f"{split} {i}", "label": i % 2} for i in range(n)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    table = read_hub(HubSource(id=str(tmp_path)))
    assert table.given_split == "_split" and table.frame["_split"].tolist() == ["train"] * 4 + ["test"] * 2
    one = read_hub(HubSource(id=str(tmp_path), split="test"))
    assert one.given_split is None and len(one.frame) == 2
    with pytest.raises(DataError, match="cannot be read like this"):
        read_hub(HubSource(id=str(tmp_path), split="nonsense"))


@pytest.mark.slow
def test_an_unreachable_hub_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="cannot be reached") as caught:
        read_hub(HubSource(id="somebody/no-such-set-here"))
    assert "pack" in caught.value.hint


def test_class_names_come_instead_of_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    data = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, -1]}, features=features)
    fake = types.SimpleNamespace(**{**vars(datasets), "load_dataset": lambda *_, **__: data})
    monkeypatch.setitem(sys.modules, "datasets", fake)
    assert read_hub(HubSource(id="x/y", split="train")).frame["label"].fillna("").tolist() == ["yes", "no", ""]


def test_uploads_are_named_by_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = Workspace(tmp_path).made()
    one = save_upload(space, "../../etc/My data.CSV", b"text\nx\n")
    assert one == save_upload(space, "other.csv", b"text\nx\n") and one.parent == space.uploads and one.suffix == ".csv"
    assert save_upload(space, "other.csv", b"text\ny\n") != one
    assert save_upload(space, "no suffix", b"z").suffix == ".data"
    with pytest.raises(DataError, match="is empty"):
        save_upload(space, "a.csv", b"")
    monkeypatch.setenv("HEIRLOOM_MAX_UPLOAD_MB", "0.000004")
    with pytest.raises(DataError, match="at most"):
        save_upload(space, "a.csv", b"12345")
    monkeypatch.setenv("HEIRLOOM_MAX_UPLOAD_MB", "many")
    with pytest.raises(DataError, match="not a number"):
        upload_limit()
