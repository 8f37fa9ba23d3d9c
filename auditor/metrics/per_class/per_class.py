"""Precision, recall and F1 of each class. An `evaluate` module, loaded by path so that no hub is asked; the formulas are auditor.stats' own."""

from typing import Any

import datasets
import evaluate

from auditor.stats.classification import confusion_matrix, f1, precision, recall

DESCRIPTION = "Precision, recall and F1 of each class; nan where one is undefined."
INPUTS = "predictions, references: class indices; classes: how many classes there are."


class PerClass(evaluate.Metric):  # type: ignore[misc]
    """Precision, recall and F1 of each class."""

    def _info(self) -> Any:
        index = datasets.Value("int64")
        features = datasets.Features({"predictions": index, "references": index})
        return evaluate.MetricInfo(description=DESCRIPTION, citation="", inputs_description=INPUTS, features=features)

    def _compute(self, predictions: Any, references: Any, classes: int) -> dict[str, list[float]]:
        confusion = confusion_matrix(references, predictions, classes)
        return {
            "precision": [float(value) for value in precision(confusion)],
            "recall": [float(value) for value in recall(confusion)],
            "f1": [float(value) for value in f1(confusion)],
        }
