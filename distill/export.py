"""An arm as files for elsewhere: Hugging Face, ONNX, ONNX int8, or a bundle that answers without torch. Verified before it is handed over.

onnx, onnx-int8   model.onnx, tokenizer.json, config.json, inference.json
hf                config.json, model.safetensors, tokenizer
bundle            onnx (int8 on request) with predict.py, README.md (model card, and how to use it) and SHA256SUMS
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from distill.errors import ModelError, StoreError, nearest
from distill.events import now
from distill.files import append_line, file_digest, read_json, write_json, write_text
from distill.spec import SignalSpec
from distill.store import TEACHER, ModelCard, Run
from distill.types import Examples, Floats

Format = Literal["onnx", "onnx-int8", "hf", "bundle", "bundle-int8"]
FORMATS: tuple[Format, ...] = get_args(Format)
TEMPLATE = Path(__file__).with_name("standalone") / "predict.py.txt"  # no module of ours: it runs elsewhere
SUMS = "SHA256SUMS"
EXPORTS = "exports.jsonl"
SAME = 0.999  # of fp32 predictions, else nothing is handed over
SINGLES = 50  # texts answered one by one for the latency
TEXTS = 1_000  # test texts that are compared at most
TIMEOUT = 600.0
USE = """
## How to use these files

With `pip install onnxruntime tokenizers` and nothing else:

    python predict.py "a text" "another text"    # or one text a line: python predict.py < texts.txt

Each text is answered by one line of JSON: its label, and the probability of each label. In Python, or for pairs of texts:
`from predict import predict, FACTS` and `predict(["a text", ("a text", "its pair")])`; columns are in the order of `FACTS["labels"]`.
`sha256sum -c SHA256SUMS` checks the files, `verified.json` says how they answered against the model that was audited.
"""


@dataclass(frozen=True)
class Verified:
    """What the check of an export found, against the arm as it stands in the run.

    Attributes:
        agreement: share of the texts with the same label; ``texts`` is how many were compared.
        largest_difference, mean_difference: of probabilities.
        cold_start_seconds: from the first import to the first answer, in a process of its own; None where the format has no such process.
        latency_ms: median of one text, one thread, in that process.
        peak_memory_bytes: of that process.
        bytes: of all files.
    """

    format: Format
    arm: str
    seed: int
    texts: int
    agreement: float
    largest_difference: float
    mean_difference: float
    cold_start_seconds: float | None
    latency_ms: float | None
    peak_memory_bytes: int | None
    bytes: int


def export(run: Run, arm: str, form: str, target: Path, *, seed: int | None = None, card_text: str = "") -> Verified:
    """Write one model of a run to the new folder ``target`` and verify it there.

    Args:
        run: a run with predictions.
        arm: an arm's name, or 'teacher'.
        form: one of :data:`FORMATS`.
        target: must not exist yet; nothing is left there when the export fails.
        seed: which of the arm's models; the first when None.
        card_text: README.md, Markdown.

    Raises:
        StoreError: ``target`` exists or cannot be written, or the run has no such model.
        ModelError: the model does not export, or answers differently afterwards.
    """
    name = next((known for known in FORMATS if known == form), None)
    if name is None:
        raise StoreError(f"'{form}' is no format to export to.", hint=nearest(form, FORMATS))
    card = model_of(run, arm, seed)
    target = target.absolute()  # predict.py is tried with another folder as the current one
    if target.exists():
        raise StoreError(f"There is already something at {target}.", hint="Choose another folder with -o.")
    if not target.parent.is_dir():
        raise StoreError(f"There is no folder {target.parent}.", hint="Make it first, or choose another with -o.")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.", suffix=".part") as part:
        folder = Path(part) / "model"
        folder.mkdir()
        _write(run, card, name, folder, card_text)
        found = verify(run, card, name, folder)
        write_json(folder / "verified.json", asdict(found))
        write_sums(folder)
        folder.rename(target)
    _record(run, found)
    return found


def exports(run: Run) -> list[tuple[str, Verified]]:
    """When each model of a run was exported and what was measured of it, the last of each arm, seed and format; lines that are torn are left out."""
    path = run.folder / EXPORTS
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    found: dict[tuple[str, int, str], tuple[str, Verified]] = {}
    for line in lines:
        try:
            value = json.loads(line)
            one = Verified(**{field.name: value[field.name] for field in fields(Verified)})
            found[one.arm, one.seed, one.format] = (str(value["at"]), one)
        except (ValueError, KeyError, TypeError):
            continue
    return list(found.values())


def _record(run: Run, found: Verified) -> None:
    """Keep what was measured with the run, for the page Compare; a run that cannot be written to is exported all the same."""
    with suppress(OSError):
        append_line(run.folder / EXPORTS, json.dumps({"at": now(), **asdict(found)}))


def model_of(run: Run, arm: str, seed: int | None) -> ModelCard:
    """The card of one model that lies on this machine; raises StoreError where there is none."""
    cards = [run.teacher] if arm == TEACHER else [card for card in run.cards() if card.name == arm]
    if not cards:
        known = [TEACHER, *dict.fromkeys(card.name for card in run.cards())]
        raise StoreError(f"Run {run.id} has no arm called '{arm}'.", hint=nearest(arm, known))
    chosen = [card for card in cards if seed is None or arm == TEACHER or card.seed == seed]
    if not chosen:
        seeds = ", ".join(str(card.seed) for card in cards)
        raise StoreError(f"The arm '{arm}' has no seed {seed}.", hint=f"It has {seeds}.")
    if not chosen[0].model_dir or not Path(chosen[0].model_dir).is_dir():
        raise StoreError(f"The arm '{arm}' has no model, only predictions.", hint="Export an arm with weights.")
    return chosen[0]


def _write(run: Run, card: ModelCard, form: Format, folder: Path, card_text: str) -> None:
    from distill.engine.loading import load_classifier
    from distill.engine.onnx_model import FACTS, FILE, is_onnx, quantise_dynamic, write_onnx

    source = Path(str(card.model_dir))
    if form == "hf":
        _hugging_face(source, card, folder)
    elif is_onnx(source):
        if form == "onnx" and card.extra.get("precision") == "int8":
            raise ModelError(f"'{card.name}' is int8 already.", hint="Export it as onnx-int8 or as a bundle.")
        for path in source.iterdir():
            shutil.copy2(path, folder / path.name)
    else:
        write_onnx(load_classifier(str(source), run.examples.labels), folder)
    if form in {"onnx-int8", "bundle-int8"} and card.extra.get("precision") != "int8":
        quantise_dynamic(folder)
    if (folder / FILE).exists():
        facts = read_json(folder / FACTS)
        limit = min(int(facts["max_tokens"]), run.spec.signals.max_tokens)
        write_json(folder / FACTS, {**facts, "max_tokens": limit})
    if form.startswith("bundle"):
        shutil.copyfile(TEMPLATE, folder / "predict.py")
    use = USE if form.startswith("bundle") else ""
    if card_text or use:
        write_text(folder / "README.md", f"{card_text}{use}")


def _hugging_face(source: Path, card: ModelCard, folder: Path) -> None:
    if not list(source.glob("*.safetensors")):
        raise ModelError(f"'{card.name}' is an ONNX model without safetensors.", hint="Export it as onnx or bundle.")
    if read_json(source / "config.json").get("heirloom_pruned") is not None:
        raise ModelError(
            f"'{card.name}' has matrices of sizes that transformers cannot load.",
            hint="Export it as onnx or bundle: the graph carries its own sizes.",
        )
    for path in source.iterdir():
        if path.is_file():
            shutil.copy2(path, folder / path.name)


def verify(run: Run, card: ModelCard, form: Format, folder: Path) -> Verified:
    """Compare the files in ``folder`` with the arm's own predictions on the test texts.

    Raises:
        ModelError: an fp32 export agrees on less than 99.9 % of them, or predict.py fails or imports torch.
    """
    test = run.examples.part("test")
    test = test.take(np.arange(min(TEXTS, len(test)), dtype=np.int64))
    seed = 0 if card.name == TEACHER else card.seed or 0
    expected = run.prediction(card.name, seed).aligned(test.ids).probs
    alone = answer_alone(folder, test) if form.startswith("bundle") else None
    found = alone.probs if alone else _through_predictor(folder, test, run.spec.signals)
    agreement = float((found.argmax(axis=1) == expected.argmax(axis=1)).mean()) if len(test) else 1.0
    if not form.endswith("int8") and card.extra.get("precision") != "int8" and agreement < SAME:
        raise ModelError(
            f"The export of '{card.name}' agrees with it on {100 * agreement:.1f} % of {len(test)} texts only.",
            hint="Nothing was written. Use the format 'hf' for this architecture.",
        )
    apart = np.abs(found - expected)
    return Verified(
        format=form,
        arm=card.name,
        seed=seed,
        texts=len(test),
        agreement=agreement,
        largest_difference=float(apart.max(initial=0.0)),
        mean_difference=float(apart.mean()) if apart.size else 0.0,
        cold_start_seconds=alone.cold_start_seconds if alone else None,
        latency_ms=alone.latency_ms if alone else None,
        peak_memory_bytes=alone.peak_memory_bytes if alone else None,
        bytes=sum(path.stat().st_size for path in folder.iterdir()),
    )


def _through_predictor(folder: Path, test: Examples, signals: SignalSpec) -> Floats:
    from distill.teachers.base import predictor

    asked = predictor(str(folder), test.labels, signals, "fp32")
    return asked.probabilities(test.texts, test.pairs, progress=lambda done: None)


@dataclass(frozen=True)
class Alone:
    """What predict.py answered in a process of its own, and how it did."""

    probs: Floats
    cold_start_seconds: float
    latency_ms: float
    peak_memory_bytes: int


# Run with the bundle's folder as argument, texts as JSON on standard input. Nothing of Heirloom is on its path.
_HARNESS = """
import time; began = time.perf_counter()
import json, runpy, sys
from pathlib import Path
texts = [tuple(t) if isinstance(t, list) else t for t in json.load(sys.stdin)]
predict = runpy.run_path(str(Path(sys.argv[1]) / "predict.py"), run_name="predict")["predict"]
probs = [predict(texts[:1])[0].tolist()]
cold = time.perf_counter() - began
singles = []
for text in texts[1:]:
    start = time.perf_counter(); probs.append(predict([text])[0].tolist()); singles.append(time.perf_counter() - start)
status = Path("/proc/self/status")
peak = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")] if status.exists() else []
print(json.dumps({"probs": probs, "cold": cold, "singles": singles[:int(sys.argv[2])], "torch": "torch" in sys.modules,
                  "peak": int(peak[0].split()[1]) * 1024 if peak else 0}))
"""


def answer_alone(folder: Path, test: Examples) -> Alone:
    """Ask the predict.py in ``folder`` in a fresh, isolated process; raises ModelError where it fails, or where torch got in."""
    folder = folder.absolute()  # the process starts in it
    texts: Sequence[object] = test.texts if test.pairs is None else list(zip(test.texts, test.pairs, strict=True))
    ended = subprocess.run(
        [sys.executable, "-I", "-c", _HARNESS, str(folder), str(SINGLES)],
        input=json.dumps(list(texts)),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
        cwd=folder,
    )
    if ended.returncode != 0:
        lines = ended.stderr.strip().splitlines() or [f"it ended with {ended.returncode}"]
        raise ModelError(f"predict.py of the bundle fails: {lines[-1][:200]}", hint="Nothing was written.")
    answer = json.loads(ended.stdout.strip().splitlines()[-1])
    if answer["torch"]:
        raise ModelError("predict.py of the bundle imported torch.", hint="Nothing was written.")
    latency = 1e3 * float(np.median(answer["singles"])) if answer["singles"] else float("nan")
    labels = json.loads((folder / "inference.json").read_text(encoding="utf-8"))["labels"]
    order = [labels.index(label) for label in test.labels]
    probs = np.asarray(answer["probs"], dtype=np.float64)[:, order]
    return Alone(probs, float(answer["cold"]), latency, int(answer["peak"]))


def write_sums(folder: Path) -> None:
    """The digest list, in the form that `sha256sum -c` reads."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    write_text(folder / SUMS, "".join(f"{file_digest(path)}  {path.name}\n" for path in files))
