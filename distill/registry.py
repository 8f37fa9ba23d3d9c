"""The small registry behind the four things that others add: a task, a teacher backend, an arm, a check.

One file adds one thing: put a module into the package that the registry names and decorate a function. A registry imports
its package's modules on first use, so nothing else has to be edited. A duplicate name is an error, never a silent override.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from distill.errors import SpecError, nearest

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True)
class Entry(Generic[F]):
    """One registered thing: its name, its function, the pydantic model of its options, a one-line summary, what it needs, and for
    which tasks it is."""

    name: str
    function: F
    options: type[BaseModel]
    summary: str
    needs: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset({"classification"})


class Registry(Generic[F]):
    """Names to entries, filled by importing every module of ``package`` once.

    Args:
        kind: what is registered, for messages ("arm").
        package: dotted name of the package whose modules register themselves.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._entries: dict[str, Entry[F]] = {}
        self._loaded = False

    def add(self, entry: Entry[F]) -> None:
        """Register ``entry``; raises SpecError when the name is taken by another function."""
        if entry.name in self._entries:
            taken = self._entries[entry.name].function.__module__
            raise SpecError(
                f"The {self.kind} '{entry.name}' is registered twice: in {taken} and {entry.function.__module__}.",
                hint="Rename one of the two.",
            )
        self._entries[entry.name] = entry

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__, prefix=f"{self.package}."):
            importlib.import_module(module.name)

    def get(self, name: str) -> Entry[F]:
        """The entry called ``name``; raises SpecError that names the nearest known one."""
        self._load()
        if name not in self._entries:
            raise SpecError(f"There is no {self.kind} called '{name}'.", hint=nearest(name, self._entries))
        return self._entries[name]

    def names(self) -> list[str]:
        """All names, in alphabetical order."""
        self._load()
        return sorted(self._entries)

    def __iter__(self) -> Iterator[Entry[F]]:
        self._load()
        return iter([self._entries[name] for name in sorted(self._entries)])
