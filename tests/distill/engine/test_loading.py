from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from distill.engine import loading
from distill.engine.loading import checkpoint_facts, header, licence_of, load_classifier, save_classifier
from distill.errors import ModelError, StoreError, UnsafeModelError
from distill.files import file_digest
from tests.distill.tiny import LABELS, tiny_model

THEIRS = ("positive", "negative", "neutral")  # the order in the fixture's head
IDS = torch.tensor([[2, 6, 12, 3]])


@pytest.fixture
def copy(classifier: Path, tmp_path: Path) -> Path:
    """A classifier of one's own, to break."""
    return Path(shutil.copytree(classifier, tmp_path / "model"))


def _edit(path: Path, **values: Any) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **values}))


def test_logits_follow_the_labels_asked_for(classifier: Path) -> None:
    theirs = load_classifier(str(classifier), THEIRS)
    ours = load_classifier(str(classifier), ("Neutral", "POSITIVE", "negative"))
    with torch.inference_mode():
        expected = theirs.model(input_ids=IDS).logits[:, [2, 0, 1]]
        torch.testing.assert_close(ours.model(input_ids=IDS).logits, expected)
    assert ours.model.config.id2label == {0: "Neutral", 1: "POSITIVE", 2: "negative"}


def test_round_trip_keeps_logits_labels_and_licence(copy: Path, tmp_path: Path) -> None:
    (copy / "README.md").write_text("---\ntags: [x]\nlicense: apache-2.0\n---\n# Model\n")
    loaded = load_classifier(str(copy), LABELS)
    save_classifier(loaded, tmp_path / "saved")
    again = load_classifier(str(tmp_path / "saved"), LABELS)
    with torch.inference_mode():
        assert torch.equal(again.model(input_ids=IDS).logits, loaded.model(input_ids=IDS).logits)
    assert again.licence == "apache-2.0"
    save_classifier(loaded, tmp_path / "saved")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_other_labels_are_named(classifier: Path) -> None:
    with pytest.raises(ModelError, match="knows the labels positive, negative, neutral; the data have good, bad") as e:
        load_classifier(str(classifier), ("good", "bad"))
    assert "label_map" in e.value.hint


def test_a_fresh_head_is_decided_by_its_seed(base: Path) -> None:
    before = torch.get_rng_state()
    first, same, other = (load_classifier(str(base), ("x", "y"), new_head=True, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.model.classifier.weight, same.model.classifier.weight)
    assert not torch.equal(first.model.classifier.weight, other.model.classifier.weight)
    assert first.model.config.id2label == {0: "x", 1: "y"}


def test_a_fresh_head_replaces_one_of_the_same_size(classifier: Path) -> None:
    old = load_classifier(str(classifier), THEIRS).model.classifier.weight
    assert not torch.equal(old, load_classifier(str(classifier), THEIRS, new_head=True).model.classifier.weight)


def test_an_encoder_without_a_head_says_so(base: Path) -> None:
    with pytest.raises(ModelError, match="without a classification head"):
        load_classifier(str(base), LABELS)


def test_pickle_weights_are_refused_unread(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(UnsafeModelError, match=r"pickle weights only \(pytorch_model.bin\)"):
        load_classifier(str(copy), LABELS)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_remote_code_is_refused(copy: Path, file: str) -> None:
    _edit(copy / file, auto_map={"AutoModel": "evil.Evil"})
    with pytest.raises(UnsafeModelError, match="code of its own"):
        load_classifier(str(copy), LABELS)


def test_missing_tokenizer(copy: Path) -> None:
    for name in ("tokenizer.json", "vocab.txt"):
        (copy / name).unlink(missing_ok=True)
    with pytest.raises(ModelError, match="has no tokenizer"):
        load_classifier(str(copy), LABELS)


def test_missing_pieces_are_named(copy: Path) -> None:
    weights = copy / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_classifier(str(copy), LABELS)
    weights.write_bytes(b"abc")
    with pytest.raises(ModelError, match="cut off or not safetensors"):
        load_classifier(str(copy), LABELS)
    weights.unlink()
    with pytest.raises(ModelError, match="has no weights"):
        load_classifier(str(copy), LABELS)
    (copy / "config.json").write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        load_classifier(str(copy), LABELS)
    (copy / "config.json").unlink()
    with pytest.raises(ModelError, match=r"no config\.json"):
        load_classifier(str(copy), LABELS)


def test_weights_without_a_layer_are_not_filled_with_noise(copy: Path) -> None:
    tensors = load_file(copy / "model.safetensors")
    del tensors["bert.encoder.layer.1.output.dense.weight"]
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lack 1 of the model's tensors"):
        load_classifier(str(copy), LABELS)


def test_an_unknown_architecture_is_named(copy: Path) -> None:
    _edit(copy / "config.json", model_type="whatsit")
    with pytest.raises(ModelError, match="architecture 'whatsit'"):
        load_classifier(str(copy), LABELS)


def test_no_such_directory() -> None:
    with pytest.raises(ModelError, match="no model directory"):
        load_classifier("/nowhere/at/all", LABELS)


def test_hub_out_of_reach_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise ConnectionError("Max retries exceeded")

    monkeypatch.setattr(loading, "snapshot_download", refuse)
    with pytest.raises(ModelError, match="hub cannot be reached"):
        load_classifier("someone/some-model", LABELS)


def test_pickles_on_the_hub_are_refused_without_fetching_them(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy / "model.safetensors").unlink()
    listed = SimpleNamespace(
        siblings=[SimpleNamespace(rfilename=name) for name in ("config.json", "pytorch_model.bin")]
    )
    monkeypatch.setattr(loading, "snapshot_download", lambda *_, **__: str(copy))
    monkeypatch.setattr(loading, "HfApi", lambda: SimpleNamespace(model_info=lambda *_, **__: listed))
    with pytest.raises(UnsafeModelError, match=r"someone/some-model has pickle weights only \(pytorch_model.bin\)"):
        load_classifier("someone/some-model", LABELS)


def test_a_tokenizer_of_another_model(copy: Path, tmp_path: Path) -> None:
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] |= {f"more{i}": len(tokenizer["model"]["vocab"]) + i for i in range(9)}
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ModelError, match="tokens, its model only"):
        load_classifier(str(copy), LABELS)


def test_facts_come_from_the_header(copy: Path) -> None:
    facts = checkpoint_facts(copy)
    model = load_classifier(str(copy), LABELS).model
    assert facts["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert facts["layers"] == model.config.num_hidden_layers
    assert facts["bytes"] == (copy / "model.safetensors").stat().st_size
    assert facts["weights_digest"] == file_digest(copy / "model.safetensors")
    assert facts["tokenizer_digest"] == file_digest(copy / "tokenizer.json")
    assert facts["licence"] == ""
    assert set(header(copy / "model.safetensors")) == set(load_file(copy / "model.safetensors"))


def test_licence_only_from_the_front_matter(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# About\nlicense: mit\n")
    assert licence_of(tmp_path) == ""


def test_a_failed_save_keeps_the_old_model(classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_classifier(str(classifier), LABELS)
    save_classifier(loaded, tmp_path / "saved")
    before = checkpoint_facts(tmp_path / "saved")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(loaded.tokenizer, "save_pretrained", full, raising=False)
    with pytest.raises(StoreError, match="No space left"):
        save_classifier(loaded, tmp_path / "saved")
    assert checkpoint_facts(tmp_path / "saved") == before
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_pack_alias_goes_through_the_digest_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distill.data import packs

    folder = tiny_model(tmp_path / "pack", None)
    asked: list[str] = []

    def found(name: str) -> Path:
        asked.append(name)
        return folder

    monkeypatch.setattr(packs, "model_dir", found)
    load_classifier("pack:minilm", LABELS, new_head=True)
    assert asked == ["minilm"]
