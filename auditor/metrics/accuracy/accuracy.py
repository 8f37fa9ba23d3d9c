"""Share of right predictions. An `evaluate` module, loaded by path so that no hub is asked; the formula is auditor.stats' own."""

from typing import Any

import datasets
import evaluate

from auditor.stats.classification import accuracy, confusion_matrix

DESCRIPTION = "Share of right predictions."
INPUTS = "predictions, references: class indices; classes: how many classes there are."


class Accuracy(evaluate.Metric):  # type: ignore[misc]
    """Share of right predictions."""

    def _info(self) -> Any:
        index = datasets.Value("int64")
        features = datasets.Features({"predictions": index, "references": index})
        return evaluate.MetricInfo(description=DESCRIPTION, citation="", inputs_description=INPUTS, features=features)

    def _compute(self, predictions: Any, references: Any, classes: int) -> dict[str, float]:
        return {"accuracy": float(accuracy(confusion_matrix(references, predictions, classes)))}
