"""From a checkpoint to a causal language model, and back. GGUF files are turned into safetensors once and kept.

As for classifiers: only safetensors (and GGUF, which is plain numbers too) are read, and only code that ships with transformers runs.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as KNOWN

from distill.engine.loading import PACK, built, check_tokens, licence_of, resolve, safe_config, whole
from distill.errors import ModelError, StoreError
from distill.files import digest_of, file_digest, part_of
from distill.locks import hold
from distill.monitor import Monitor
from distill.signals import library_versions


@dataclass(frozen=True)
class LoadedCausal:
    """A causal language model in memory.

    Attributes:
        model: float32 weights, in evaluation mode.
        tokenizer: its tokenizer.
        licence: of the weights, where the checkpoint names one.
    """

    model: Any
    tokenizer: Any
    licence: str = ""

    @property
    def ends(self) -> tuple[int, ...]:
        """Ids that end an answer: the tokenizer's and those of the generation settings."""
        named = getattr(self.model.generation_config, "eos_token_id", None)
        several = named if isinstance(named, list | tuple) else [named]
        found = [self.tokenizer.eos_token_id, self.model.config.eos_token_id, *several]
        return tuple(sorted({int(token) for token in found if isinstance(token, int)}))

    @property
    def context(self) -> int:
        """Tokens that the model can look at."""
        limits = [int(min(self.tokenizer.model_max_length or 1_000_000, 1_000_000))]
        positions = getattr(self.model.config, "max_position_embeddings", None) or getattr(
            self.model.config, "n_positions", None
        )
        return min([*limits, int(positions)]) if positions else limits[0]


def resolve_causal(
    source: str, cache: Path, monitor: Monitor, *, revision: str | None = None, gguf_file: str | None = None
) -> Path:
    """The local directory of a causal LM in safetensors.

    Args:
        source: directory, hub id, GGUF file, or 'pack:NAME'.
        cache: the workspace's cache folder, where converted GGUF files are kept.
        monitor: waits there for another process that converts the same file.
        revision: of a hub id.
        gguf_file: name of a GGUF file in the directory or hub repository.

    Raises:
        ModelError, PackError: it is not there or cannot be read.
    """
    path = _gguf(source, revision, gguf_file)
    if path is None:
        return resolve(source, revision)
    name = digest_of([file_digest(path), library_versions(("transformers", "gguf"))])[:32]
    folder = cache / "converted" / name
    if not (folder / "config.json").exists():
        with hold(folder.with_suffix(".lock"), monitor, "this conversion"):
            if not (folder / "config.json").exists():
                monitor.note(f"{path.name} is turned into safetensors, once.")
                _convert(path, folder)
    return folder


def _gguf(source: str, revision: str | None, gguf_file: str | None) -> Path | None:
    """The GGUF file that ``source`` means; None when it means a directory of safetensors or a hub id."""
    if source.startswith(PACK):
        from distill.data.packs import file, model_dir

        model_dir(source.removeprefix(PACK))  # refuses a pack of data
        first = file(source.removeprefix(PACK))
        return first if first.suffix == ".gguf" else None
    path = Path(source).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return path
    if path.is_dir():
        found = sorted(path.glob("*.gguf"))
        if gguf_file:
            chosen = [file for file in found if file.name == gguf_file]
            if not chosen:
                raise ModelError(
                    f"{source} has no file {gguf_file}.", hint=f"It has {', '.join(f.name for f in found)}."
                )
            return chosen[0]
        return found[0] if len(found) == 1 and not list(path.glob("*.safetensors")) else None
    if gguf_file is None:
        return None
    try:
        return Path(hf_hub_download(source, gguf_file, revision=revision))
    except Exception as error:
        raise ModelError(
            f"The hub does not give {gguf_file} of '{source}': {type(error).__name__}.",
            hint="Check id and file name, or give the path of a GGUF file.",
        ) from error


def _convert(path: Path, folder: Path) -> None:
    """Dequantise a GGUF file; config.json appears with the rest, whole or not at all."""
    from transformers import GgufConfig

    part = part_of(folder)
    part.mkdir(parents=True)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path.parent,
            gguf_file=path.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
            local_files_only=True,
            trust_remote_code=False,
        )
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)
        model.config._name_or_path = ""
        model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        licence = gguf_licence(path)
        if licence:
            (part / "README.md").write_text(f"---\nlicense: {licence}\n---\n", encoding="utf-8")
        part.rename(folder)
    except (ValueError, KeyError, RuntimeError, NotImplementedError, AttributeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(
            f"{path.name} cannot be read: {first}", hint="Use a GGUF file of an architecture that transformers knows."
        ) from error
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"{path.name} could not be converted: {error}.", hint="Free some space, then resume."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def gguf_licence(path: Path) -> str:
    """What the GGUF file says of its licence; empty when it says nothing."""
    from gguf import GGUFReader

    found = GGUFReader(str(path)).fields.get("general.license")
    return str(found.contents()) if found is not None else ""


def load_causal(folder: str | Path) -> LoadedCausal:
    """Load a causal LM from a directory, float32 and in evaluation mode.

    Raises:
        UnsafeModelError: pickle weights or remote code; nothing was loaded.
        ModelError: missing files or an unknown architecture, or weights that are not numbers.
    """
    folder, source = Path(folder), str(folder)
    config = safe_config(folder, source, KNOWN, "language model")
    model, tokenizer = whole(folder, source, lambda: built(AutoModelForCausalLM, folder, config))
    check_tokens(model, tokenizer, source)
    return LoadedCausal(model.eval(), tokenizer, licence_of(folder))
