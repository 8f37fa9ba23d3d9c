"""Energy that this process has used, through codecarbon offline: no network, no file, nothing printed.

Only the worker meters (:func:`begin`). Where codecarbon finds no meter that it can read (RAPL and its like; NVML for accelerators), a figure is
an estimate: the share of the processor's time that this process took × the power that codecarbon's table gives such a processor, and a
constant for the memory. Whoever knows the power better sets CODECARBON_FORCE_CPU_POWER, in watts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

EVERY = 15.0  # seconds; a meter that counts must be read before it begins anew
NO_METER = "estimate, no meter"
METERS = {
    "intel_rapl": "RAPL",
    "windows_emi": "the Windows energy meter",
    "intel_power_gadget": "Intel Power Gadget",
}
Reader = Callable[[], float | None]


@dataclass
class Meter:
    """codecarbon's tracker, started once. :meth:`read` is cumulative; None where codecarbon could not be started."""

    tracker: Any
    last: Any = None  # codecarbon's totals at the last reading

    def read(self) -> float | None:
        """kWh since the start: the processor's time of this process and its children, memory, and accelerators."""
        self.tracker.flush()  # hands the totals to the output below; takes some milliseconds
        return None if self.last is None else float(self.last.energy_consumed)

    def method(self) -> str:
        """How the figures come about, in words."""
        modes = [(getattr(part, "_mode", None), getattr(part, "_tdp", None)) for part in self.tracker._hardware]
        metered = [METERS[mode] for mode, _ in modes if mode in METERS]
        name = f"codecarbon {self.tracker._conf['codecarbon_version']}, offline"
        if metered:
            return f"{name}: read from {metered[0]}, which counts the whole machine; memory by a constant"
        watts = next((tdp for mode, tdp in modes if mode and tdp), None)
        taken = f" taken as {watts:g} W at full load" if watts else ""
        model = self.tracker._conf.get("cpu_model") or "processor"
        return f"{NO_METER} ({name}: {model}{taken}, by its processor time; memory by a constant)"

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """No reading in the background while something is timed; what is used meanwhile is counted with the next reading."""
        self.tracker._scheduler.stop()
        try:
            yield
        finally:
            self.tracker._scheduler.start()


_wanted = False
_meter: Meter | None = None


def begin() -> None:
    """Meter this process from now on; nothing is loaded before the first reading."""
    global _wanted
    _wanted = True


def reading() -> float | None:
    """kWh that this process has used since the first reading; None where nobody asked to meter it, or it cannot be."""
    found = meter()
    return found.read() if found else None


def since(before: float | None) -> float | None:
    """kWh used since the reading ``before``; None where either is not known."""
    now = None if before is None else reading()
    return None if before is None or now is None else max(0.0, now - before)


def meter() -> Meter | None:
    """The meter, started when it is needed first; None where it is not wanted or cannot be."""
    global _meter, _wanted
    if _meter is None and _wanted:
        with suppress(ImportError):  # a figure that is missing; no reason to stop a run
            _meter = _start()
        _wanted = _meter is not None
    return _meter


def method() -> str | None:
    """How the readings come about; None without a meter."""
    return _meter.method() if _meter else None


def _start() -> Meter | None:
    from codecarbon import OfflineEmissionsTracker
    from codecarbon.output_methods.base_output import BaseOutput

    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # its import sets another
    made = Meter(tracker=None)

    class Totals(BaseOutput):  # type: ignore[misc]
        def out(self, total: Any, delta: Any) -> None:
            made.last = total

    # everything is given that a codecarbon.config of the user could turn into a file or a call over the network; the country is asked
    # for the carbon dioxide only, which is not used
    made.tracker = OfflineEmissionsTracker(
        country_iso_code="USA",
        country_2letter_iso_code=None,
        cloud_provider=None,
        cloud_region=None,
        region=None,
        output_methods=[],
        output_handlers=[Totals()],
        emissions_endpoint=None,
        electricitymaps_api_token=None,
        api_call_interval=-1,
        tracking_mode="process",
        measure_power_secs=EVERY,
        allow_multiple_runs=True,
        log_level="critical",
    )
    made.tracker.start()
    if not getattr(made.tracker, "_hardware", None):
        return None
    made.tracker._scheduler_monitor_power.stop()  # every second: processor time and meters add up by themselves
    return made if made.read() is not None else None
