"""LoRA through peft: small matrices beside the frozen weights, multiplied into them when training is done."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel

from distill.engine.causal_loading import LoadedCausal
from distill.engine.loading import with_model
from distill.errors import ModelError


def with_adapters(loaded: LoadedCausal, rank: int, alpha: int, seed: int) -> LoadedCausal:
    """``loaded`` with adapters on every linear layer but the head (Hu et al. 2022, "LoRA"); only they are trained.

    Raises:
        ModelError: peft is not installed, or does not know the architecture.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ModelError("Adapters need the package peft.", hint="pip install peft") from error
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model: Any = inject_adapter_in_model(config, loaded.model)
    except ValueError as error:
        raise ModelError(f"Adapters do not fit the model: {str(error)[:200]}", hint="Set lora_rank to 0.") from error
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    return with_model(loaded, model)


def merged(loaded: LoadedCausal) -> LoadedCausal:
    """The plain model with the adapters multiplied into its weights."""
    from peft.tuners.lora import LoraLayer

    model: PreTrainedModel = loaded.model
    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent) if parent else model, last, module.get_base_layer())
    model.__dict__.pop("peft_config", None)  # else it would be saved as adapters
    model._hf_peft_config_loaded = False
    return with_model(loaded, model)
