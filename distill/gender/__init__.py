"""Gendered words: the lexicon, and counterfactual swaps. The trainer mitigates with them and the audit measures with them."""
