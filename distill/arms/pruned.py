"""Pruned: the teacher, or another arm, with its least important parts cut out, or its smallest weights at zero; then it may recover."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from distill.arms.making import agreement_target, dev_set
from distill.arms.quantised import derived_card
from distill.arms.sources import source_card
from distill.plugins import ArmContext, arm
from distill.spec import Part
from distill.store import TEACHER, ModelCard

if TYPE_CHECKING:
    from distill.engine.loading import LoadedClassifier
    from distill.engine.train import TrainResult

LEAST_GENERATION = 1  # what has learnt from the teacher's answers is one generation younger than it


class PrunedOptions(Part):
    """What is pruned, how, and how much."""

    of: str = Field(TEACHER, description="'teacher', or the name of an arm of this run.")
    method: Literal["structured", "unstructured"] = Field(
        "structured", description="Whole heads and feed-forward units, or single weights by magnitude."
    )
    sparsity: float = Field(0.5, gt=0, lt=1, description="Share of them that goes, the same in each layer.")
    recover: bool = Field(True, description="Train on the teacher's signals afterwards, as the student does.")
    texts: int = Field(256, ge=8, description="Pool texts on which the importance of heads and units is measured.")


@arm(
    "pruned",
    "The teacher, or an arm, with heads, units or weights cut; recovers on the teacher's signals.",
    PrunedOptions,
    needs={"signals", "seeds"},
)
def pruned(context: ArmContext, options: Any) -> ModelCard:
    """Prune, recover, save; raises ModelError where the source was not made or its architecture cannot be pruned."""
    from distill.engine.loading import load_classifier, save_classifier

    source = source_card(context, options.of)
    loaded = load_classifier(str(source.model_dir), context.examples.labels)
    zeros = None
    if options.method == "structured":
        _cut(context, loaded, options)
        result = _recovered(context, loaded) if options.recover else None
    else:
        from distill.engine.prune import smallest

        zeros = smallest(loaded.model, options.sparsity)
        zeros.apply()
        handles = zeros.hold()
        result = _recovered(context, loaded) if options.recover else None
        for handle in handles:
            handle.remove()
        zeros.apply()
    save_classifier(result.loaded if result else loaded, context.folder / "model")
    return _card(context, options, source, result, zeros.count if zeros else 0)


def _cut(context: ArmContext, loaded: LoadedClassifier, options: PrunedOptions) -> None:
    from distill.engine.prune import cut, importance

    few = min(options.texts, len(context.pool))
    tokens = context.stage.spec.signals.max_tokens
    texts, pairs = context.pool.texts[:few], context.pool.pairs
    pairs = pairs[:few] if pairs is not None else None
    found = importance(loaded.model, loaded.tokenizer, texts, pairs, context.signal.argmax[:few], tokens)
    cut(loaded.model, found, options.sparsity)


def _recovered(context: ArmContext, loaded: LoadedClassifier) -> TrainResult:
    from distill.engine.train import train_classifier

    return train_classifier(
        loaded,
        context.pool.texts,
        context.pool.pairs,
        context.signal.probs,
        context.training,
        seed=context.seed,
        max_tokens=context.stage.spec.signals.max_tokens,
        dev=dev_set(context, agreement_target(context)),
        arm=context.arm.name,
        folder=context.folder,
        monitor=context.stage.monitor,
    )


def _card(
    context: ArmContext, options: PrunedOptions, source: ModelCard, result: TrainResult | None, zeros: int
) -> ModelCard:
    extra: dict[str, Any] = {"method": options.method, "sparsity": options.sparsity, "zeros": zeros}
    known: dict[str, Any] = {}
    if result is not None:
        base = int(context.teacher.extra.get("generation", 0))
        extra |= {
            "generation": base + LEAST_GENERATION,
            "steps": result.steps,
            "best_dev_agreement": result.best_dev_agreement,
            "texts_seen": result.texts_seen,
        }
        known = {"train_seconds": round(result.seconds, 3), "epochs_run": round(result.epochs_run, 4)}
        known["trained_on"] = min(len(context.pool), context.training.max_texts or len(context.pool))
    if zeros:
        note = f"{zeros:,} weights are zero. The file is no smaller for it, and a dense runtime no faster."
        known["notes"] = (note,)
    return derived_card(context, source, context.folder / "model", options.of, extra=extra, **known)
