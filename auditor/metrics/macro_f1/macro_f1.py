"""Mean F1 over the classes that occur in truth or prediction. An `evaluate` module, loaded by path so that no hub is asked; the formula is auditor.stats' own."""

from typing import Any

import datasets
import evaluate

from auditor.stats.classification import confusion_matrix, macro_f1

DESCRIPTION = "Mean F1 over the classes that occur in truth or prediction."
INPUTS = "predictions, references: class indices; classes: how many classes there are."


class MacroF1(evaluate.Metric):  # type: ignore[misc]
    """Mean F1 over the classes that occur in truth or prediction."""

    def _info(self) -> Any:
        index = datasets.Value("int64")
        features = datasets.Features({"predictions": index, "references": index})
        return evaluate.MetricInfo(description=DESCRIPTION, citation="", inputs_description=INPUTS, features=features)

    def _compute(self, predictions: Any, references: Any, classes: int) -> dict[str, float]:
        return {"macro_f1": float(macro_f1(confusion_matrix(references, predictions, classes)))}
