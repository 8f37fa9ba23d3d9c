"""Where everything of one installation lies. ``HEIRLOOM_HOME`` says where; the default is ./workspace."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from distill.errors import StoreError


@dataclass(frozen=True)
class Workspace:
    """The folders of one installation.

    Attributes:
        root: the workspace folder; made on first use.
    """

    root: Path

    @classmethod
    def default(cls, make: bool = True) -> Workspace:
        """The workspace that ``HEIRLOOM_HOME`` names, or ./workspace. With ``make`` False one that is not there is not made."""
        home = cls(Path(os.environ.get("HEIRLOOM_HOME") or "workspace").resolve())
        return home.made() if make or home.runs.is_dir() else home

    def made(self) -> Workspace:
        """Make the folders; raises StoreError when that is not possible."""
        try:
            for folder in (self.runs, self.cache, self.uploads):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The workspace {self.root} cannot be written: {error.strerror}.",
                hint="Set HEIRLOOM_HOME to a folder that you may write to.",
            ) from error
        return self

    @property
    def runs(self) -> Path:
        """One folder per run."""
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        """Content-addressed: fine-tuned teachers, signals. May be deleted; it is made again, and what endpoints answered is paid again."""
        return self.root / "cache"

    @property
    def uploads(self) -> Path:
        """Files that came through the browser, named by their content."""
        return self.root / "uploads"

    @property
    def database_url(self) -> str:
        """``HEIRLOOM_DATABASE_URL``, or SQLite in the workspace."""
        return os.environ.get("HEIRLOOM_DATABASE_URL") or f"sqlite:///{self.root / 'heirloom.db'}"


def new_run_id() -> str:
    """A sortable name: the day, the time and six random hex digits."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
