"""What a classifier's last layer sees: frozen embeddings on which another head can be fitted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from distill.engine import pick_device
from distill.engine.encode import encode, longest, sorted_batches
from distill.engine.loading import load_classifier
from distill.errors import ModelError
from distill.types import Floats


def embeddings(
    model_dir: str | Path, labels: tuple[str, ...], texts: Sequence[str], *, max_tokens: int, batch_size: int = 64
) -> tuple[Floats, Floats]:
    """Inputs of the last linear layer [n, d] and class probabilities [n, k], in float32, in input order.

    Raises:
        ModelError: the model has no linear layer with one output for each label.
    """
    loaded = load_classifier(str(model_dir), labels)
    device = pick_device()
    model = loaded.model.eval().to(device)
    heads = [m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == len(labels)]
    if not heads:
        raise ModelError(f"{model_dir} has no linear head for {len(labels)} labels.", hint="Choose another student.")
    seen: list[Tensor] = []
    hook = heads[-1].register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].detach()))
    encoded = encode(loaded.tokenizer, texts, None, longest(loaded.tokenizer, loaded.model.config, max_tokens))
    found: Floats | None = None
    probs = np.empty((len(texts), len(labels)))
    try:
        with torch.inference_mode():
            for rows in sorted_batches(encoded.lengths, batch_size):
                batch = encoded.batch(rows, device)
                mask = batch.mask if batch.mask is not None else torch.ones_like(batch.ids)
                logits = model(input_ids=batch.ids, attention_mask=mask).logits
                inside = seen.pop()
                # a head that reads every position (RoBERTa's family) still takes the first one for its answer
                rows_in = (inside[:, 0] if inside.ndim == 3 else inside).double().cpu().numpy()
                found = np.empty((len(texts), rows_in.shape[1])) if found is None else found
                found[rows] = rows_in
                probs[rows] = torch.softmax(logits.double(), dim=-1).cpu().numpy()
    finally:
        hook.remove()
    return (np.empty((0, 0)) if found is None else found), probs
