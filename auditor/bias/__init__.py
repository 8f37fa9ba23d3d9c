"""Gender bias of classifiers: counterfactual items, swaps, estimators, associations, ledger and groups. Reads arrays, never runs a model."""
