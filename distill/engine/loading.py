"""From a checkpoint to a classifier whose logits stand in the order of the data's labels, and back to a directory.

Only safetensors are read and only code that ships with transformers is run: pickle weights and remote code are refused
before anything is loaded.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx2  # what huggingface_hub speaks HTTP with, and whose errors it lets through
import torch
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel
from transformers import logging as transformers_logging
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as KNOWN

from distill.engine import prune
from distill.errors import ModelError, StoreError, UnsafeModelError
from distill.files import file_digest, part_of, read_json, tree_digest
from distill.model_files import has_tokenizer

PACK = "pack:"
PRECISION_KEY = "heirloom_precision"  # in the configuration of a model that is stored, asked and timed in another precision than fp32
_WANTED = ["*.json", "*.safetensors", "*.txt", "*.model", "README.md"]
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


@dataclass(frozen=True)
class LoadedClassifier:
    """A classifier in memory.

    Attributes:
        model: float32 weights, in evaluation mode; logits have the order of ``labels``.
        tokenizer: its tokenizer.
        labels: label names in order.
        licence: of the weights, where the checkpoint names one; carried along when the model is saved.
    """

    model: Any
    tokenizer: Any
    labels: tuple[str, ...]
    licence: str = ""


class Loaded(Protocol):
    """A model in memory with its tokenizer; every such class is a dataclass."""

    @property
    def model(self) -> Any:
        """Float32 weights, in evaluation mode."""

    @property
    def tokenizer(self) -> Any:
        """Its tokenizer."""

    @property
    def licence(self) -> str:
        """Of the weights; empty where none is named."""


L = TypeVar("L", bound=Loaded)
T = TypeVar("T")


def load_classifier(
    source: str, labels: tuple[str, ...], *, revision: str | None = None, new_head: bool = False, seed: int = 0
) -> LoadedClassifier:
    """Load a sequence-classification checkpoint, or a base encoder under a fresh head.

    Args:
        source: directory, hub id, or ``pack:NAME`` for a model that a Python package carries.
        labels: label names in the order that the logits must have.
        revision: of a hub id.
        new_head: put a fresh head, drawn from ``seed``, on the encoder; whatever head was there is dropped.
        seed: decides the fresh head.

    Raises:
        UnsafeModelError: pickle weights or remote code; nothing was loaded.
        ModelError: missing files, an unknown architecture, or labels that differ from ``labels``.
    """
    folder = resolve(source, revision)
    config = safe_config(folder, source)
    if not has_tokenizer(folder):
        raise ModelError(
            f"The model in {source} has no tokenizer.",
            hint="Copy tokenizer.json (and tokenizer_config.json) of the model it was made from into that directory.",
        )
    permutation: list[int] | None = None
    if new_head:
        config.num_labels = len(labels)
    else:
        _need_head(folder, config, source)
        permutation = _permutation(config, labels, source)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    config.problem_type = "single_label_classification"
    model, tokenizer = _load(folder, config, source, ignore_mismatched_sizes=new_head)
    if new_head:
        _draw_head(model, seed)
    if permutation and permutation != sorted(permutation):
        _permute_head(model, permutation, source)
    check_tokens(model, tokenizer, source)
    return LoadedClassifier(model.eval(), tokenizer, labels, licence_of(folder))


def resolve(source: str, revision: str | None = None) -> Path:
    """The local directory of ``source``; a hub id is fetched (safetensors, configuration and tokenizer only)."""
    if source.startswith(PACK):
        from distill.data.packs import model_dir

        return Path(model_dir(source.removeprefix(PACK)))
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if path.exists() or source.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(source):
        raise ModelError(
            f"There is no model directory '{source}'.", hint="Give a directory with config.json, or a hub id."
        )
    return _fetch(source, revision)


def _fetch(source: str, revision: str | None) -> Path:
    try:
        folder = Path(snapshot_download(source, revision=revision, allow_patterns=_WANTED, etag_timeout=10))
        if not list(folder.glob("*.safetensors")):  # pickles are never fetched, so the hub must say that they are there
            _refuse_pickles(
                [file.rfilename for file in HfApi().model_info(source, revision=revision).siblings or []], source
            )
    except (RepositoryNotFoundError, GatedRepoError) as error:
        raise ModelError(
            f"The hub has no model '{source}', or it needs a sign-in.", hint="Check the id, or use a local directory."
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, httpx2.HTTPError, OSError, ValueError) as error:
        raise ModelError(
            f"'{source}' is not a local directory and the model hub cannot be reached.",
            hint="Connect to the network, or give the path of a directory that holds the model.",
        ) from error
    return folder


def _refuse_pickles(names: list[str], source: str) -> None:
    pickles = [name for name in names if name.endswith(_PICKLES)]
    if pickles:
        raise UnsafeModelError(
            f"{source} has pickle weights only ({pickles[0]}), which can run code when they are read.",
            hint="Convert them to safetensors where you trust them: model.save_pretrained(folder).",
        )


def safe_config(folder: Path, source: str, known: Container[str] = KNOWN, what: str = "classifier") -> Any:
    """The configuration of an architecture among ``known``, after everything dangerous has been refused."""
    if not (folder / "config.json").exists():
        raise ModelError(f"{source} has no config.json.", hint="Give the directory that save_pretrained wrote.")
    raw = _json(folder / "config.json", source)
    described = [raw, _json(folder / "tokenizer_config.json", source)]
    if any(isinstance(part, dict) and part.get("auto_map") for part in described):
        raise UnsafeModelError(
            f"{source} wants to run code of its own (auto_map), which Heirloom never does.",
            hint="Use a checkpoint whose architecture ships with transformers.",
        )
    if not list(folder.glob("*.safetensors")):
        _refuse_pickles([path.name for path in folder.iterdir()], source)
        raise ModelError(f"{source} has no weights (*.safetensors).", hint="Copy model.safetensors into it.")
    if not isinstance(raw, dict) or raw.get("model_type") not in known:
        kind = raw.get("model_type") if isinstance(raw, dict) else None
        raise ModelError(
            f"{source} is of the architecture '{kind}', for which transformers has no {what}.",
            hint="Use an encoder such as BERT, RoBERTa, DistilBERT, ELECTRA, DeBERTa or ModernBERT."
            if known is KNOWN
            else "Use a decoder such as Llama, SmolLM, Qwen, Mistral or GPT-2.",
        )
    return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _json(path: Path, source: str) -> Any:
    try:
        return read_json(path) if path.exists() else {}
    except StoreError as error:
        raise ModelError(f"{path.name} of {source} is damaged.", hint="Copy the file again.") from error


def _load(folder: Path, config: Any, source: str, *, ignore_mismatched_sizes: bool) -> tuple[PreTrainedModel, Any]:
    def build() -> tuple[PreTrainedModel, list[str]]:
        torch.manual_seed(0)
        if getattr(config, prune.KEY, None) is not None:
            return _load_pruned(folder, config), []
        model, missing = built(
            AutoModelForSequenceClassification, folder, config, ignore_mismatched_sizes=ignore_mismatched_sizes
        )
        prefix = f"{model.base_model_prefix}."  # a head that is missing is drawn
        return model, [key for key in missing if key.startswith(prefix) and ".pooler." not in key]

    return whole(folder, source, build)


def built(auto: Any, folder: Path, config: Any, **more: Any) -> tuple[Any, list[str]]:
    """A model of the class that ``auto`` finds, float32, from safetensors alone, and the names of tensors that its files lack."""
    model, report = auto.from_pretrained(
        folder,
        config=config,
        dtype=torch.float32,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
        **more,
    )
    return model, sorted(report["missing_keys"])


def whole(folder: Path, source: str, build: Callable[[], tuple[T, list[str]]]) -> tuple[T, Any]:
    """What ``build`` gives, and its tokenizer; the caller's random numbers are not touched by a missing head that is drawn.

    Raises:
        ModelError: files are missing or damaged, or the weights lack tensors.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            model, lost = build()
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(f"{source} cannot be loaded: {first}", hint="Check that its files are complete.") from error
    if lost:
        raise ModelError(
            f"The weights in {source} lack {len(lost)} of the model's tensors, the first is {lost[0]}.",
            hint="Check that config.json belongs to these weights.",
        )
    return model, tokenizer


def check_tokens(model: Any, tokenizer: Any, source: str) -> None:
    """Raise ModelError where the tokenizer knows tokens that the model has no embedding for."""
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ModelError(
            f"The tokenizer of {source} knows {len(tokenizer):,} tokens, its model only {rows:,}.",
            hint="Use the tokenizer that the model was trained with.",
        )


def _load_pruned(folder: Path, config: Any) -> PreTrainedModel:
    """A structurally pruned model: built, given its smaller matrices, then filled."""
    model = AutoModelForSequenceClassification.from_config(config)
    prune.shrink(model, getattr(config, prune.KEY))
    weights = {
        name: tensor for path in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(path).items()
    }
    model.load_state_dict(weights, strict=True)
    return model.float()


def _need_head(folder: Path, config: Any, source: str) -> None:
    architectures = config.architectures or []
    if not any(name.endswith("ForSequenceClassification") for name in architectures):
        raise ModelError(
            f"{source} is an encoder without a classification head ({', '.join(architectures) or 'unnamed'}).",
            hint="Use the teacher 'fine_tuned', which trains a head on labelled texts first.",
        )
    names = [name for path in folder.glob("*.safetensors") for name in header(path)]
    if not any(re.match(r"(score|classifier|classification_head|cls|head|logits_proj)\b", name) for name in names):
        raise ModelError(
            f"{source} calls itself a classifier but its weights hold no classification head.",
            hint="Save it again after training.",
        )


def _permutation(config: Any, labels: tuple[str, ...], source: str) -> list[int]:
    """For each label the row of the model's head that says it."""
    known = {str(name).strip().casefold(): int(index) for index, name in config.id2label.items()}
    wanted = [label.strip().casefold() for label in labels]
    if len(known) != len(config.id2label) or sorted(known) != sorted(wanted):
        theirs = ", ".join(str(config.id2label[index]) for index in sorted(config.id2label))
        raise ModelError(
            f"{source} knows the labels {theirs}; the data have {', '.join(labels)}.",
            hint="Map them in the spec: data.label_map, from the data's label to the model's.",
        )
    return [known[label] for label in wanted]


def _head(model: PreTrainedModel) -> list[nn.Linear]:
    """The linear layers of the head: those outside the encoder, in the order of use."""
    prefix = f"{model.base_model_prefix}."
    return [m for name, m in model.named_modules() if isinstance(m, nn.Linear) and not name.startswith(prefix)]


def _draw_head(model: PreTrainedModel, seed: int) -> None:
    spread = float(getattr(model.config, "initializer_range", 0.02))
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in _head(model):
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=source) * spread)
            if layer.bias is not None:
                layer.bias.zero_()


def _permute_head(model: PreTrainedModel, permutation: list[int], source: str) -> None:
    """Bring the head's rows into the order of the data's labels, and check on a probe that the logits followed."""
    probe = torch.arange(8).view(1, 8) % model.get_input_embeddings().weight.shape[0]
    model.eval()
    with torch.no_grad():
        before = model(input_ids=probe).logits[:, permutation]
        last = _head(model)[-1]
        last.weight.copy_(last.weight[permutation].clone())
        if last.bias is not None:
            last.bias.copy_(last.bias[permutation].clone())
        after = model(input_ids=probe).logits
    if not torch.allclose(before, after, atol=1e-5, equal_nan=True):
        raise ModelError(
            f"The labels of {source} stand in another order and its head cannot be re-ordered.",
            hint=f"Give the data's labels in the model's order: {permutation}.",
        )


def save_classifier(loaded: Loaded, folder: Path) -> None:
    """Write model and tokenizer to ``folder``, whole or not at all; an older one there is replaced.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    part = part_of(folder)
    part.mkdir(parents=True)
    old = part.with_suffix(".old")
    if loaded.model.dtype == torch.float32 and hasattr(loaded.model.config, PRECISION_KEY):
        delattr(loaded.model.config, PRECISION_KEY)  # what is made from a bf16 model in fp32 is none itself
    try:
        loaded.model.save_pretrained(part)
        loaded.tokenizer.save_pretrained(part)
        if loaded.licence:
            (part / "README.md").write_text(f"---\nlicense: {loaded.licence}\n---\n", encoding="utf-8")
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
    except (OSError, SafetensorError) as error:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise StoreError(
            f"The model could not be written to {folder}: {error}.",
            hint="Free some space, then resume: finished stages are kept.",
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def with_model(loaded: L, model: PreTrainedModel) -> L:
    """The same tokenizer, labels and licence around another model."""
    return replace(loaded, model=model)  # type: ignore[type-var]  # every Loaded is a dataclass


def header(path: Path) -> dict[str, dict[str, Any]]:
    """Names, shapes and dtypes in a safetensors file, read from its header; no tensor is loaded.

    Raises:
        ModelError: the file is cut off or not safetensors.
    """
    try:
        with path.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            if not 2 <= length <= path.stat().st_size - 8:
                raise ValueError("header length")
            entries: dict[str, dict[str, Any]] = json.loads(handle.read(length))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is cut off or not safetensors.", hint="Copy the file again.") from error
    return {name: entry for name, entry in entries.items() if name != "__metadata__"}


def checkpoint_facts(folder: Path) -> dict[str, Any]:
    """What a card says of a checkpoint, without loading it.

    Returns:
        ``weights_digest`` and ``tokenizer_digest`` (SHA-256, hex), ``parameters`` (count; None for an ONNX graph), ``bytes`` (of the weights on disk),
        ``layers`` (None when the configuration names none) and ``licence`` (empty when none is named).
    """
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("model.onnx"))
    if not weights:
        raise ModelError(f"{folder} has no weights (*.safetensors).", hint="Give the directory of a saved model.")
    config = _json(folder / "config.json", str(folder))
    named = [entry for path in weights if path.suffix == ".safetensors" for entry in header(path).values()]
    layers = next((config[key] for key in ("num_hidden_layers", "n_layers", "num_layers") if key in config), None)
    return {
        "weights_digest": file_digest(weights[0]) if len(weights) == 1 else tree_digest(folder, "*.safetensors"),
        "tokenizer_digest": tokenizer_digest(folder),
        "parameters": sum(_size(entry["shape"]) for entry in named) if named else None,
        "bytes": sum(path.stat().st_size for path in weights),
        "layers": layers,
        "licence": licence_of(folder),
    }


def tokenizer_digest(folder: Path) -> str:
    """SHA-256 (hex) of a tokenizer: tokenizer.json, or the vocabulary files of one without."""
    fast = folder / "tokenizer.json"
    return file_digest(fast) if fast.exists() else tree_digest(folder, "*vocab*")


def _size(shape: list[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def licence_of(folder: Path) -> str:
    """The licence that the model card (README.md) names in its front matter; empty when there is none."""
    card = folder / "README.md"
    if not card.exists():
        return ""
    front = card.read_text(encoding="utf-8", errors="replace").partition("---")[2].partition("\n---")[0]
    found = re.search(r"^license:\s*([\w.+-]+)", front, flags=re.MULTILINE)
    return found.group(1) if found else ""
