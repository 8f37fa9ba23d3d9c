from __future__ import annotations

import json
from pathlib import Path

import pytest

from auditor.document import document
from auditor.types import SCHEMA_VERSION
from distill.spec import parse_spec
from distill.store import Status
from tests.fakes import make_fake_run

KEYS = {"schema_version", "run", "arms", "measures", "findings", "gates", "verdict"}
NAMES = {
    "accuracy",
    "macro_f1",
    "accuracy_retention",
    "agreement",
    "kl_divergence",
    "ece",
    "latency_p50_ms",
    "latency_p95_ms",
    "throughput_per_s",
    "cost_per_1k",
    "size_bytes",
}


def test_a_finished_run(tmp_path: Path) -> None:
    made = document(make_fake_run(tmp_path, audit=True))
    json.dumps(made, allow_nan=False)
    assert set(made) >= KEYS
    assert made["schema_version"] == SCHEMA_VERSION
    assert set(made["run"]) >= {"id", "status", "spec", "lineage", "provenance"}
    assert made["run"]["status"] == "complete"
    parse_spec(made["run"]["spec"])
    assert {m["name"] for m in made["measures"]} >= NAMES
    assert {"arm", "name", "value", "low", "high", "n", "group", "unit"} <= set(made["measures"][0])
    assert made["arms"][0]["name"] == "teacher"
    assert {"name", "kind", "seed", "parameters", "bytes"} <= set(made["arms"][1])
    assert made["verdict"]["answer"] in ("yes", "no", "cannot tell")
    assert all("seed" in m for m in made["measures"])


@pytest.mark.parametrize("status", ["queued", "running", "awaiting_review", "failed", "cancelled", "interrupted"])
def test_an_unfinished_run_has_the_same_keys(tmp_path: Path, status: Status) -> None:
    made = document(make_fake_run(tmp_path, status=status))
    assert set(made) >= KEYS
    assert made["run"]["status"] == status
    assert made["verdict"] is None
    assert made["measures"] == []
