from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from distill.engine.memory import peak_memory
from distill.engine.timing import COLUMNS, TimedModel, time_models
from distill.errors import ModelError
from distill.monitor import Monitor
from distill.spec import LatencySpec
from tests.distill.tiny import LABELS, tiny_model, tiny_rows

TEXTS = list(tiny_rows(40)["text"])


def test_every_model_is_timed_in_every_round(classifier: Path, tmp_path: Path) -> None:
    small = tiny_model(tmp_path / "small", layers=1)
    models = [TimedModel("teacher", 0, classifier), TimedModel("distilled", 1, small)]
    options = LatencySpec(rounds=6, batch_sizes=(1, 8, 500), texts=16)
    frame = time_models(models, LABELS, TEXTS, None, options, 24, Monitor())
    assert list(frame.columns) == COLUMNS
    counts = frame.groupby(["mode", "threads", "batch", "round"]).size()
    assert (counts == 2).all()
    latency = frame[frame["mode"] == "latency"]
    assert set(latency["batch"]) == {1} and set(latency["texts"]) == {1} and latency["round"].nunique() == 6
    assert (latency.groupby(["threads", "round"])["tokens"].nunique() == 1).all()  # the same text for all
    throughput = frame[frame["mode"] == "throughput"]
    assert set(throughput["batch"]) == {1, 8, 16} and set(throughput["texts"]) == {16}
    assert 1 in set(frame["threads"]) and (frame["seconds"] > 0).all() and frame["device"].nunique() == 1
    firsts = latency.groupby(["threads", "round"])["arm"].first()
    assert firsts.nunique() == 2  # the order is drawn anew


def test_energy_is_read_in_turns_where_the_process_is_metered(
    classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fake:
        kwh = 0.0

        def read(self) -> float:
            self.kwh += 1e-6
            return self.kwh

        def quiet(self) -> nullcontext[None]:
            return nullcontext()

    monkeypatch.setattr("distill.energy._meter", Fake())
    monkeypatch.setattr("distill.engine.timing.ENERGY_SECONDS", 0.01)
    options = LatencySpec(rounds=5, batch_sizes=(1, 8), texts=8)
    frame = time_models([TimedModel("teacher", 0, classifier)], LABELS, TEXTS, None, options, 24, Monitor())
    read = frame[frame["mode"] == "energy"]
    assert (
        read["kwh"].tolist() == pytest.approx([1e-6] * 3)
        and set(read["batch"]) == {8}
        and (read["texts"] % 8 == 0).all()
    )
    assert frame.loc[frame["mode"] != "energy", "kwh"].isna().all()


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own(classifier: Path) -> None:
    facts = peak_memory(classifier, LABELS, TEXTS, None, max_tokens=24)
    assert facts.peak_bytes > facts.baseline_bytes > 50e6
    with pytest.raises(ModelError, match="could not be measured"):
        peak_memory("/nowhere", LABELS, TEXTS, None, max_tokens=24)
