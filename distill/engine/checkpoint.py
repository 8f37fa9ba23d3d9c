"""The state of a training that may be interrupted, in one safetensors file: whole or absent, no pickle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from distill.files import atomic_path

FILE = "state.safetensors"


def save_state(folder: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and facts (JSON, in the file's metadata); the older checkpoint stays until this one is whole.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(folder / FILE) as part:
        try:
            save_file(whole, str(part), metadata={"facts": json.dumps(facts)})
        except SafetensorError as error:  # the writer's own error for a full disk
            raise OSError(f"no room for a checkpoint ({error})") from error


def load_state(folder: Path, fingerprint: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What ``save_state`` wrote for a training with this fingerprint; None when there is none, or it is of another training."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with safe_open(str(path), framework="pt") as handle:
            facts: dict[str, Any] = json.loads((handle.metadata() or {}).get("facts", "{}"))
            if facts.get("fingerprint") != fingerprint:
                return None
            return {name: handle.get_tensor(name) for name in handle.keys()}, facts  # noqa: SIM118 - not a mapping
    except (SafetensorError, ValueError):
        return None  # torn by a power cut before atomic_path could sync it: start again


def random_states(device: torch.device) -> dict[str, Tensor]:
    """States of the generators that dropout draws from."""
    states = {"rng.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["rng.cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random(states: dict[str, Tensor], device: torch.device) -> None:
    """Set the generators as ``random_states`` found them."""
    torch.set_rng_state(states["rng.cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["rng.cuda"], device)


def discard_state(folder: Path) -> None:
    """Remove the checkpoint: its training is done."""
    shutil.rmtree(folder, ignore_errors=True)
