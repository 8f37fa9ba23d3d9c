"""Strings that attack a page, and a finished run that is full of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distill.store import Run
from distill.types import Examples, content_id
from tests.fakes import make_fake_run

STRINGS = (
    "<img src=x onerror=\"document.title='owned'\">",
    "<script>document.title='owned'</script>",
    "![pixel](http://evil.invalid/x.png)",
    "[click](javascript:document.title='owned')",
    ":red[coloured] **bold** `code` $x^2$ # head",
    "\x1b[31mred\x1b[0m \x00 nul \u202eevil\u202c",
    '=HYPERLINK("http://evil.invalid","x")',
    "| a | b |\n| - | - |\n<b>x</b>",
    "x" * 100_000,
)
LABELS = ("![l](http://evil.invalid/l.png)", "<b>neutral</b>", ":red[positive]|*")
NAME = "<b>run</b> ![n](http://evil.invalid/n.png) :red[x]"


def hostile_run(root: Path) -> Run:
    """A finished, audited run whose name, labels, groups and texts are hostile."""
    from auditor.audit import audit_run

    groups = {"<i>group</i>": ("![g](http://evil.invalid/g.png)", "<script>1</script>")}
    run = make_fake_run(root, labels=LABELS, groups=groups, n_test=60, n_pool=30, n_dev=30, spec={"name": NAME})
    examples = run.examples
    frame = examples.frame.copy()
    texts = np.array([f"{STRINGS[i % len(STRINGS)]} {i}" for i in range(len(frame))], dtype=object)
    frame["text"] = texts
    frame["content_id"] = [content_id(text) for text in texts]
    Examples(frame, examples.labels).write(run.folder / "examples.parquet")
    audit_run(run)
    run.write_manifest()
    return run
