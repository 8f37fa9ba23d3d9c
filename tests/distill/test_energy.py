from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from distill import energy
from distill.stages.frame import metered

_SCRIPT = """
import json, socket, sys, time
def refuse(*a, **k): raise AssertionError("network")
socket.socket.connect = refuse; socket.getaddrinfo = refuse
from distill import energy
nothing = energy.reading()
energy.begin()
first = energy.reading()
busy = time.process_time()
while time.process_time() - busy < 0.5: pass
used = energy.since(first)
with energy.meter().quiet():
    pass
print(json.dumps({"nothing": nothing, "first": first, "used": used, "method": energy.method(), "torch": "torch" in sys.modules,
                  "streamlit": "streamlit" in sys.modules}))
"""


@pytest.mark.slow
def test_codecarbon_reads_without_network_file_or_word(tmp_path: Path) -> None:
    (tmp_path / ".codecarbon.config").write_text(
        "[codecarbon]\nsave_to_file = true\noutput_methods = csv\nlog_level = debug\n"
    )
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", _SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "CODECARBON_FORCE_CPU_POWER": "36"},
    )  # fmt: skip
    found = json.loads(ended.stdout)
    assert found["nothing"] is None and found["first"] is not None
    assert found["used"] > 0 and not found["torch"] and not found["streamlit"]
    assert "codecarbon" in found["method"]
    if found["method"].startswith(
        energy.NO_METER
    ):  # half a second of one core, at most 36 W: below 36 W × some seconds, memory included
        assert 1e-9 < found["used"] < 1e-3 and "36 W" in found["method"]
    assert [path.name for path in tmp_path.iterdir()] == [".codecarbon.config"]
    assert "codecarbon" not in ended.stderr


def test_nothing_is_metered_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "_meter", None)
    monkeypatch.setattr(energy, "_wanted", False)
    assert energy.reading() is None and energy.since(None) is None and energy.method() is None
    assert metered(energy.reading()) == {}


def test_what_a_stage_used_is_the_difference_of_two_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        def __init__(self) -> None:
            self.said = iter([0.5, 0.75])

        def read(self) -> float:
            return next(self.said)

        def method(self) -> str:
            return "a fake"

    monkeypatch.setattr(energy, "_meter", Fake())
    before = energy.reading()
    assert metered(before) == {"kwh": pytest.approx(0.25), "kwh_method": "a fake"}
