"""The embedded trainer: spec, data, teachers, signals, students, losses, arms, training, run store, jobs.

Knows nothing of ``auditor`` or ``pages``. Only :mod:`distill.engine` imports torch.
"""
