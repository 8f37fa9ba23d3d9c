from __future__ import annotations

import threading
from pathlib import Path

import pytest

from distill.errors import Cancelled
from distill.events import Event
from distill.locks import hold
from distill.monitor import Monitor


def test_the_second_waits_says_so_and_can_be_cancelled(tmp_path: Path) -> None:
    seen: list[Event] = []
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with hold(tmp_path / "x.lock", Monitor(), "this"):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(10)
    waited = Monitor(sink=seen.append, cancelled=lambda: bool(seen))
    with pytest.raises(Cancelled), hold(tmp_path / "x.lock", waited, "this teacher"):
        pass
    leave.set()
    thread.join()
    assert [event.kind for event in seen] == ["note"]
    with hold(tmp_path / "x.lock", Monitor(), "this"):
        pass
