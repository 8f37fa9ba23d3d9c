"""The stages of a run, one module each, and :func:`run_stages`, which does them in order.

A stage is a plain function of a :class:`distill.plugins.StageContext`. It is idempotent by its digest, writes whole artefacts in
the layout of ``distill/store.py``, talks through the monitor, can be cancelled, and raises HeirloomErrors only.
"""

from distill.stages.flow import run_stages

__all__ = ["run_stages"]
