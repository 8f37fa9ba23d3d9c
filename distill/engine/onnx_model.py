"""Models in ONNX: written from a classifier, quantised to int8, and asked through ONNX Runtime instead of torch.

A folder of such a model holds ``model.onnx``, ``tokenizer.json``, ``config.json`` and ``inference.json`` (labels, longest input, padding
id, names of the inputs), which is all that a process without torch needs. The graph is the lean way through the encoder
(:mod:`distill.engine.lean`) where the architecture has one, else transformers' own forward.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from distill.engine.encode import Batch, Encoded, longest, sorted_batches
from distill.engine.lean import lean_classifier
from distill.engine.loading import LoadedClassifier
from distill.errors import ModelError, StoreError
from distill.files import read_json, write_json

FILE = "model.onnx"
FACTS = "inference.json"
OPSET = 17
CALIBRATION_BATCH = 8
_TOLERANCE = 1e-3  # on float32 logits: what another runtime may round differently, and no more
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def is_onnx(folder: str | Path) -> bool:
    """True for a folder that holds a model for ONNX Runtime."""
    return (Path(folder) / FILE).is_file()


class _Traced(nn.Module):
    """The way that goes into the graph."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.lean = lean_classifier(model)

    def forward(self, ids: Tensor, mask: Tensor, types: Tensor | None = None) -> Tensor:
        if self.lean is not None:
            return self.lean(Batch(ids, types, mask))
        extra = {} if types is None else {"token_type_ids": types}
        logits: Tensor = self.model(input_ids=ids, attention_mask=mask, **extra).logits
        return logits


def write_onnx(loaded: LoadedClassifier, folder: Path) -> None:
    """Write ``loaded`` as float32 ONNX with tokenizer and facts into ``folder``; it is checked against torch before that.

    Raises:
        ModelError: the architecture has an operation that does not export, the graph answers differently, or there is no
            fast tokenizer. The architecture is named.
        StoreError: the folder cannot be written.
    """
    kind = loaded.model.config.model_type
    folder.mkdir(parents=True, exist_ok=True)
    loaded.model.set_attn_implementation("eager")
    traced = _Traced(loaded.model).eval()
    typed = "token_type_ids" in loaded.tokenizer.model_input_names and _takes_types(loaded.model)
    names = _INPUTS if typed else _INPUTS[:2]
    probe = _probe(loaded.model, typed, lengths=(7, 4))
    axes = {**{name: {0: "batch", 1: "tokens"} for name in names}, "logits": {0: "batch"}}
    try:
        with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
            warnings.simplefilter("ignore")  # of tracing: what a trace may miss is what the check below looks for
            torch.onnx.export(
                traced,
                probe,
                str(folder / FILE),
                dynamo=False,
                opset_version=OPSET,
                input_names=list(names),
                output_names=["logits"],
                dynamic_axes=axes,
            )
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error}.", hint="Free some space, then try again.") from error
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        first = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"The architecture '{kind}' does not export to ONNX: {first}",
            hint="Use the format 'hf' for it, or leave this arm out.",
        ) from error
    loaded.model.eval()
    loaded.tokenizer.save_pretrained(folder)
    if not (folder / "tokenizer.json").exists():
        raise ModelError(f"The tokenizer of this '{kind}' has no fast form.", hint="Use the format 'hf' for it.")
    loaded.model.config.save_pretrained(folder)
    facts = {
        "labels": list(loaded.labels),
        "max_tokens": longest(loaded.tokenizer, loaded.model.config, 1_000_000),
        "pad": loaded.tokenizer.pad_token_id or 0,
        "inputs": list(names),
    }
    write_json(folder / FACTS, facts)
    _same_answers(loaded, folder, typed)


def _takes_types(model: Any) -> bool:
    return int(getattr(model.config, "type_vocab_size", 0) or 0) > 0


def _probe(model: Any, typed: bool, lengths: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Texts of unlike length [n, longest], their mask, and token types where the model takes them."""
    vocabulary, width = model.get_input_embeddings().weight.shape[0], max(lengths)
    ids = 2 + torch.arange(len(lengths) * width).view(len(lengths), width) * 7 % max(1, vocabulary - 2)
    mask = (torch.arange(width)[None, :] < torch.tensor(lengths)[:, None]).long()
    ids = ids.masked_fill(mask == 0, model.config.pad_token_id or 0)
    return (ids, mask, torch.zeros_like(ids)) if typed else (ids, mask)


def _same_answers(loaded: LoadedClassifier, folder: Path, typed: bool) -> None:
    """Compare with torch on other shapes than those of the trace, so that a size frozen into the graph shows."""
    forward = OnnxForward(folder)
    for lengths in ((5,), (3, 11, 9)):
        inputs = _probe(loaded.model, typed, lengths)
        with torch.inference_mode():
            extra = {"token_type_ids": inputs[2]} if typed else {}
            expected = loaded.model(input_ids=inputs[0], attention_mask=inputs[1], **extra).logits
        found = forward(Batch(inputs[0], inputs[2] if typed else None, inputs[1]))
        if not torch.allclose(found, expected, atol=_TOLERANCE, rtol=_TOLERANCE):
            raise ModelError(
                f"The architecture '{loaded.model.config.model_type}' answers differently in ONNX than in torch.",
                hint="Use the format 'hf' for it, or leave this arm out.",
            )


def quantise_dynamic(folder: Path, *, embeddings: bool = True, reduce_range: bool = False) -> None:
    """Make the model in ``folder`` int8: weights once, per channel; activations as they come (dynamic).

    Args:
        folder: of :func:`write_onnx`; its model.onnx is replaced.
        embeddings: quantise the embedding tables as well: they are half of a small model on disk.
        reduce_range: 7 bits instead of 8, for x86 processors without VNNI, where sums of 8-bit products saturate.

    Raises:
        ModelError: the graph cannot be quantised.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    kinds = ["MatMul", "Gemm", *(["Gather"] if embeddings else [])]
    logger = logging.getLogger()
    level = logger.level
    with tempfile.TemporaryDirectory(dir=folder, prefix=".int8.") as part:
        made = Path(part) / FILE
        try:
            logger.setLevel(logging.ERROR)  # it advises a pre-processing that is for convolutions
            quantize_dynamic(
                folder / FILE,
                made,
                op_types_to_quantize=kinds,
                per_channel=True,
                reduce_range=reduce_range,
                weight_type=QuantType.QInt8,
            )
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"The graph cannot be quantised: {str(error)[:160]}", hint="Leave this arm out."
            ) from error
        finally:
            logger.setLevel(level)
        made.replace(folder / FILE)


def quantise_static(folder: Path, encoded: Encoded, *, reduce_range: bool = False) -> None:
    """Make the model in ``folder`` int8 with activations' ranges fixed beforehand, from some texts (calibration).

    Embedding tables are quantised too; products of two activations (attention) stay float32, as with :func:`quantise_dynamic`.

    Args:
        folder: of :func:`write_onnx`; its model.onnx is replaced.
        encoded: the texts whose activations set the ranges.
        reduce_range: see :func:`quantise_dynamic`.

    Raises:
        ModelError: the graph cannot be quantised.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    logger = logging.getLogger()
    level = logger.level
    with tempfile.TemporaryDirectory(dir=folder, prefix=".int8.") as part:
        made = Path(part) / FILE
        try:
            logger.setLevel(logging.ERROR)
            quantize_static(
                folder / FILE,
                made,
                _reader(encoded, tuple(facts_of(folder)["inputs"])),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["MatMul", "Gemm", "Gather"],
                per_channel=True,
                reduce_range=reduce_range,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"MatMulConstBOnly": True},
            )
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"The graph cannot be quantised: {str(error)[:160]}", hint="Leave this arm out."
            ) from error
        finally:
            logger.setLevel(level)
        made.replace(folder / FILE)


def _reader(encoded: Encoded, inputs: tuple[str, ...]) -> Any:
    """Calibration batches as ONNX Runtime asks for them, one after the other, then None."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches = iter(sorted_batches(encoded.lengths, CALIBRATION_BATCH))

        def get_next(self) -> dict[str, Any] | None:
            rows = next(self.batches, None)
            return None if rows is None else _given(encoded.batch(rows, torch.device("cpu")), inputs)

    return Reader()


def _given(batch: Batch, inputs: tuple[str, ...]) -> dict[str, Any]:
    """A batch as the graph's inputs."""
    ids = batch.ids.cpu().numpy()
    given = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids) if batch.mask is None else batch.mask.cpu().numpy(),
        "token_type_ids": np.zeros_like(ids) if batch.types is None else batch.types.cpu().numpy(),
    }
    return {name: given[name] for name in inputs}


class OnnxForward:
    """Logits of batches through ONNX Runtime on the CPU, with as many threads as torch is set to at the time of the call.

    Args:
        folder: of an ONNX model.
        order: for each wanted label its position in the model's output; None keeps the model's order.

    Raises:
        ModelError: the file is damaged or not ONNX.
    """

    def __init__(self, folder: Path, order: Sequence[int] | None = None) -> None:
        self.path = folder / FILE
        self.inputs = tuple(facts_of(folder)["inputs"])
        self.order = None if order is None else list(order)
        self._threads = 0
        self._session = self._open(torch.get_num_threads())

    def _open(self, threads: int) -> Any:
        import onnxruntime  # here, so that a process which asks torch models only does not pay for it
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf, NoSuchFile

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # threads that spin for work would slow down whatever else is measured on this machine in the same rounds
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except (Fail, InvalidGraph, InvalidProtobuf, NoSuchFile) as error:
            raise ModelError(
                f"{self.path} cannot be loaded: {str(error)[:160]}", hint="Make the arm or export it again."
            ) from error
        self._threads = threads
        return session

    def __call__(self, batch: Batch) -> Tensor:
        """[n, k] float32."""
        threads = torch.get_num_threads()
        if threads != self._threads:
            self._session = self._open(threads)
        (logits,) = self._session.run(["logits"], _given(batch, self.inputs))
        return torch.from_numpy(np.ascontiguousarray(logits if self.order is None else logits[:, self.order]))


@dataclass(frozen=True)
class FastTokenizer:
    """``tokenizers`` alone behind the calls that :mod:`distill.engine.encode` makes: a tenth of the time of transformers' wrapper."""

    tokenizer: Tokenizer
    pad_token_id: int
    model_max_length: int
    model_input_names: tuple[str, ...]

    def __call__(
        self,
        texts: list[str],
        pairs: list[str] | None,
        *,
        max_length: int,
        return_token_type_ids: bool,
        **as_usual: Any,
    ) -> dict[str, list[list[int]]]:
        """Ids, and types where asked for, of each text or pair, cut at ``max_length``."""
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_length, strategy="longest_first")
        rows = texts if pairs is None else list(zip(texts, pairs, strict=True))
        coded = self.tokenizer.encode_batch(rows)
        found = {"input_ids": [row.ids for row in coded]}
        return {**found, "token_type_ids": [row.type_ids for row in coded]} if return_token_type_ids else found


@dataclass(frozen=True)
class OnnxClassifier:
    """A model for ONNX Runtime, ready to be asked: its forward, its tokenizer and its labels in the wanted order."""

    forward: OnnxForward
    tokenizer: FastTokenizer
    labels: tuple[str, ...]
    limit: int


def facts_of(folder: Path) -> dict[str, Any]:
    """What inference.json says; raises ModelError when it is missing or damaged."""
    path = folder / FACTS
    try:
        found = dict(read_json(path))
        return {key: found[key] for key in ("labels", "max_tokens", "pad", "inputs")}
    except (StoreError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} is missing or damaged.", hint="Make the arm or export it again.") from error


def open_onnx(folder: Path, labels: tuple[str, ...]) -> OnnxClassifier:
    """Open the ONNX model in ``folder``, its logits in the order of ``labels``.

    Raises:
        ModelError: files are missing or damaged, or the model knows other labels.
    """
    facts = facts_of(folder)
    known = [str(label) for label in facts["labels"]]
    if sorted(known) != sorted(labels):
        raise ModelError(
            f"{folder} knows the labels {', '.join(known)}; the data have {', '.join(labels)}.",
            hint="Export the arm of this run again.",
        )
    order = None if known == list(labels) else [known.index(label) for label in labels]
    path = folder / "tokenizer.json"
    if not path.exists():
        raise ModelError(f"{folder} has no tokenizer.json.", hint="Make the arm or export it again.")
    limit = int(facts["max_tokens"])
    tokenizer = FastTokenizer(Tokenizer.from_file(str(path)), int(facts["pad"]), limit, tuple(facts["inputs"]))
    return OnnxClassifier(OnnxForward(folder, order), tokenizer, labels, limit)
