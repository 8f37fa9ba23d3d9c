"""How a stage talks while it works, and how it learns that it should stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from distill import events
from distill.errors import Cancelled

EVERY = 0.5  # seconds between two progress events: enough for a person, little for the disk


class Monitor:
    """Receives a stage's progress and turns it into events.

    Args:
        sink: called with each event.
        cancelled: asked at each step; True stops the stage with :class:`distill.errors.Cancelled`.
    """

    def __init__(
        self, sink: Callable[[events.Event], None] = lambda _: None, cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        self._sink = sink
        self._cancelled = cancelled
        self._stage: events.Stage = "data"
        self._asked = 0.0
        self._last = 0.0
        self._began = time.monotonic()
        self._first_step = 0

    @property
    def stage_name(self) -> events.Stage:
        """The stage that is under way."""
        return self._stage

    def emit(self, event: events.Event) -> None:
        """Pass ``event`` on as it is."""
        self._sink(event)

    @contextmanager
    def stage(self, stage: events.Stage, total: int | None = None, note: str = "") -> Iterator[None]:
        """Frame a stage by Started and Finished; an exception leaves it unfinished."""
        self._stage = stage
        began = time.monotonic()
        self.restart()
        self.emit(events.Started(stage=stage, total=total, note=note))
        yield
        self.emit(events.Finished(stage=stage, seconds=time.monotonic() - began))

    def reused(self, stage: events.Stage, note: str = "") -> None:
        """Say that a stage's result was already there."""
        self._stage = stage
        self.emit(events.Finished(stage=stage, reused=True, note=note))

    def restart(self, step: int = 0) -> None:
        """Begin measuring the rate anew at ``step`` (a resumed stage must not count what was done before)."""
        self._began = time.monotonic()
        self._last = 0.0
        self._first_step = step

    def note(self, message: str, *, warning: bool = False) -> None:
        """Write a sentence into the log."""
        self.emit(events.Note(stage=self._stage, level="warning" if warning else "info", message=message))

    def curve(self, arm: str, seed: int, step: int, name: str, value: float) -> None:
        """Add a point to a live curve."""
        self.emit(events.Curve(arm=arm, seed=seed, step=step, name=name, value=value))

    def progress(
        self, step: int, total: int | None, unit: str = "", note: str = "", spend: float | None = None
    ) -> None:
        """Report ``step`` of ``total`` (at most twice a second) and stop here when a person cancelled."""
        self.check()
        moment = time.monotonic()
        if moment - self._last < EVERY and step != total:
            return
        self._last = moment
        elapsed = moment - self._began
        done = step - self._first_step
        rate = done / elapsed if elapsed > 0 and done > 0 else None
        left = (total - step) / rate if rate and total is not None else None
        self.emit(
            events.Progress(
                stage=self._stage, step=step, total=total, rate=rate, unit=unit, left=left, note=note, spend=spend
            )
        )

    def check(self) -> None:
        """Raise Cancelled when a person asked the job to stop (looked up at most every tenth of a second)."""
        moment = time.monotonic()
        if moment - self._asked < 0.1:
            return
        self._asked = moment
        if self._cancelled():
            raise Cancelled("The run was cancelled.", hint="Resume it to go on where it stopped.")


class Quiet(Monitor):
    """Notes and curves of a part go out by the outer monitor, its count does not; it stops when a person cancels."""

    def __init__(self, outer: Monitor) -> None:
        super().__init__(outer.emit)
        self._outer = outer
        self._stage = outer.stage_name

    def progress(
        self, step: int, total: int | None, unit: str = "", note: str = "", spend: float | None = None
    ) -> None:
        """Look for a cancel only."""
        self._outer.check()

    def check(self) -> None:
        """Raise Cancelled when a person asked the job to stop."""
        self._outer.check()


class Within(Quiet):
    """A part of a longer count: its steps are added to ``done`` and reported out of ``total``."""

    def __init__(self, outer: Monitor, done: int, total: int, unit: str = "texts", note: str = "") -> None:
        super().__init__(outer)
        self._done = done
        self._total = total
        self._unit = unit
        self._note = note

    def progress(
        self, step: int, total: int | None, unit: str = "", note: str = "", spend: float | None = None
    ) -> None:
        """Report the step as one of the longer count."""
        self._outer.progress(self._done + step, self._total, self._unit or unit, note or self._note, spend)

    def restart(self, step: int = 0) -> None:
        """Begin measuring the rate anew from here on."""
        self._outer.restart(self._done + step)


class Stretched(Quiet):
    """Progress of a training that reads more texts than the stage counted for it, in the stage's count."""

    def __init__(self, outer: Monitor, factor: float) -> None:
        super().__init__(outer)
        self._factor = factor

    def restart(self, step: int = 0) -> None:
        """Begin measuring the rate anew."""
        self._outer.restart(round(step * self._factor))

    def progress(
        self, step: int, total: int | None, unit: str = "", note: str = "", spend: float | None = None
    ) -> None:
        """Report the step in the outer count."""
        whole = None if total is None else round(total * self._factor)
        self._outer.progress(round(step * self._factor), whole, unit, note, spend)
