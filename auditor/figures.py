"""Numbers as people read them: three significant digits, intervals in brackets, a unit with every figure."""

from __future__ import annotations

import math

NOTHING = "–"


def decimals(value: float, digits: int = 3) -> int:
    """How many decimals show ``value`` with ``digits`` significant digits."""
    if value == 0 or not math.isfinite(value):
        return 0 if not math.isfinite(value) else digits - 1
    return min(8, max(0, digits - 1 - math.floor(math.log10(abs(value)))))


def figure(value: float | None, *, sign: bool = False, places: int | None = None) -> str:
    """``value`` with three significant digits and a thousands comma; a dash when there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    places = decimals(value) if places is None else places
    rounded = round(value, places)
    text = f"{abs(rounded):,.{places}f}"
    minus = "−" if rounded < 0 else "+" if sign and rounded > 0 else ""
    return minus + text


def interval(low: float | None, high: float | None, *, places: int | None = None, sign: bool = False) -> str:
    """``[low, high]``; empty when a bound is missing."""
    if low is None or high is None:
        return ""
    if places is None:
        places = decimals(max(abs(low), abs(high)))  # three significant digits of the larger bound
    return f"[{figure(low, places=places, sign=sign)}, {figure(high, places=places, sign=sign)}]"


def scaled(value: float | None, factor: float) -> float | None:
    """``value × factor``, or None."""
    return None if value is None else value * factor


def percent(value: float | None) -> str:
    """A share (0..1) in per cent: ``99.5 %``."""
    return NOTHING if value is None else f"{figure(100 * value, places=1)} %"


def percent_interval(low: float | None, high: float | None, *, sign: bool = False) -> str:
    """An interval of shares in per cent: ``[98.7, 100.4]``."""
    return interval(scaled(low, 100), scaled(high, 100), places=1, sign=sign)


def points(value: float | None) -> str:
    """A difference of shares in percentage points: ``+1.2 points``."""
    return NOTHING if value is None else f"{figure(100 * value, sign=True, places=1)} points"


def times(value: float | None) -> str:
    """A ratio: ``2.50×``."""
    return NOTHING if value is None else f"{figure(value)}×"


def count(value: int | float | None) -> str:
    """A count with a thousands comma."""
    return NOTHING if value is None else f"{round(value):,}"


def duration(seconds: float | None) -> str:
    """Seconds as people say them: ``0.4 s``, ``19 s``, ``1 min 40 s``, ``2 h 5 min``."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds >= 0.05 else "0 s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if minutes < 10 and rest else f"{round(whole / 60)} min"
    hours, rest = divmod(whole, 3600)
    return f"{hours} h {rest // 60} min"


def size(n_bytes: float | None) -> str:
    """Bytes in decimal units: ``60.1 MB``."""
    if n_bytes is None:
        return NOTHING
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= factor:
            return f"{figure(n_bytes / factor)} {unit}"
    return f"{round(n_bytes)} B"


def money(usd: float | None) -> str:
    """US dollars with three significant digits: ``$0.00210``."""
    return NOTHING if usd is None else f"{'−' if usd < 0 else ''}${figure(abs(usd))}"
