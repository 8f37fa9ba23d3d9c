"""Preflight: what was checked before anything costs time, and an estimate."""

from __future__ import annotations

from distill.spec import RunSpec


def draw(spec: RunSpec) -> None:
    pass


def may_start(spec: RunSpec) -> bool:
    return True
