"""Class probabilities of many texts, in input order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from distill.engine import Precision, pick_device, pick_dtype, use_threads
from distill.engine.encode import Encoded, encode, longest, sorted_batches
from distill.engine.forward import Forward
from distill.engine.half import is_half
from distill.engine.loading import LoadedClassifier, load_classifier
from distill.engine.onnx_model import OnnxClassifier, OnnxForward, is_onnx, open_onnx
from distill.errors import ModelError
from distill.types import Floats, Ints

Progress = Callable[[int], None]


class Predictor:
    """A classifier that is asked. What lies in the folder decides the runtime: model.onnx goes to ONNX Runtime, the rest to torch.

    Args:
        model_dir: directory or hub id of a checkpoint, or directory of an ONNX model.
        labels: label names in the order of the probabilities' columns.
        max_tokens: longer texts are cut.
        precision: ``auto`` is bfloat16 where the processor profits; bias and calibration want ``fp32``. A model that is stored as an arm
            in bfloat16 is asked in bfloat16 all the same: that is what its user gets.
        batch_size: texts in one forward pass.
        device: ``auto``, ``cpu``, ``cuda`` …
        threads: of torch and the tokenizer; None leaves them as they are.

    Raises:
        ModelError, UnsafeModelError: see :func:`distill.engine.loading.load_classifier`.
    """

    def __init__(
        self,
        model_dir: str | Path,
        labels: tuple[str, ...],
        *,
        max_tokens: int,
        precision: Precision = "auto",
        batch_size: int = 64,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.name = str(model_dir)
        if is_onnx(model_dir):
            self._prepare_onnx(open_onnx(Path(model_dir), labels), max_tokens, batch_size, threads)
            return
        loaded = load_classifier(str(model_dir), labels)
        self._prepare(loaded, max_tokens, precision, batch_size, device, threads)

    def _prepare(
        self,
        loaded: LoadedClassifier,
        max_tokens: int,
        precision: Precision,
        batch_size: int,
        device: str,
        threads: int | None,
    ) -> None:
        self.labels = loaded.labels
        self.device = pick_device(device)
        self.dtype = pick_dtype("bf16" if is_half(loaded.model) else precision, self.device)
        self.batch_size = batch_size
        self.threads = threads
        self.max_tokens = longest(loaded.tokenizer, loaded.model.config, max_tokens)
        self.tokenizer = loaded.tokenizer
        self.forward: Forward | OnnxForward = Forward(loaded.model.eval(), self.device, self.dtype, self.max_tokens)

    def _prepare_onnx(self, opened: OnnxClassifier, max_tokens: int, batch_size: int, threads: int | None) -> None:
        self.labels = opened.labels
        self.device, self.dtype = torch.device("cpu"), torch.float32  # int8 is inside the graph: in and out are float32
        self.batch_size, self.threads = batch_size, threads
        self.max_tokens = min(max_tokens, opened.limit)
        self.tokenizer, self.forward = opened.tokenizer, opened.forward

    def probabilities(
        self,
        texts: Sequence[str],
        pairs: Sequence[str | None] | None = None,
        progress: Progress | None = None,
    ) -> Floats:
        """Class probabilities, shape [n, k], float64, in input order; rows sum to 1.

        A text that stands several times is asked once.

        Args:
            texts: the texts.
            pairs: their second texts, or None.
            progress: called after each batch with the number of texts done (duplicates included).

        Raises:
            ModelError: the model returned something that is not a number.
        """
        with use_threads(self.threads), torch.inference_mode():
            first, inverse = _distinct(texts, pairs)
            encoded = self.encode([texts[i] for i in first], None if pairs is None else [pairs[i] for i in first])
            return self._ask(encoded, inverse, progress)

    def encode(self, texts: Sequence[str], pairs: Sequence[str | None] | None) -> Encoded:
        """Token ids, cut at this predictor's limit."""
        return encode(self.tokenizer, texts, pairs, self.max_tokens)

    def _ask(self, encoded: Encoded, inverse: Ints, progress: Progress | None) -> Floats:
        """Answers to the distinct texts, dealt out by ``inverse``."""
        answers = np.empty((len(encoded), len(self.labels)))
        times = np.bincount(inverse, minlength=len(encoded))
        done = 0
        for rows in sorted_batches(encoded.lengths, self.batch_size):
            answers[rows] = self._probabilities(encoded, rows)
            done += int(times[rows].sum())
            if progress is not None:
                progress(done)
        return answers[inverse]

    def _probabilities(self, encoded: Encoded, rows: Ints) -> Floats:
        logits = self.forward(encoded.batch(rows, self.device)).double().cpu().numpy()
        if not np.isfinite(logits).all():
            raise ModelError(
                f"The model {self.name} answered with something that is not a number.",
                hint="Its weights are damaged, or overflow in bfloat16: try precision fp32.",
            )
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float64)


def _distinct(texts: Sequence[str], pairs: Sequence[str | None] | None) -> tuple[Ints, Ints]:
    """Positions of the first occurrences [m], and for each text which of them it equals [n]."""
    seen: dict[tuple[str, str | None], int] = {}
    first: list[int] = []
    inverse = np.empty(len(texts), dtype=np.int64)
    for position, text in enumerate(texts):
        key = (text, pairs[position] if pairs is not None else None)
        if key not in seen:
            seen[key] = len(first)
            first.append(position)
        inverse[position] = seen[key]
    return np.asarray(first, dtype=np.int64), inverse
