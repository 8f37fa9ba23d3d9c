"""The database: what many people change at once. SQLite in WAL mode by default, PostgreSQL by setting one URL.

Models derive from :class:`Base`, wherever they live; their tables come from a file in ``distill/migrations/versions``. All migrations are applied
when a database is opened, one process at a time. People are plain strings, moments are ISO 8601 in UTC.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy import Connection, Engine, Index, String, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from distill.errors import StoreError
from distill.events import now
from distill.workspace import Workspace

BUSY_SECONDS = 30
IS_OPEN = "state IN ('queued', 'claimed')"
_opened: dict[str, Database] = {}
_opening = threading.Lock()
_MIGRATING = 4_866_801  # any number: the name of the PostgreSQL advisory lock that migrations take


class Base(DeclarativeBase):
    """Parent of all tables."""


class Job(Base):
    """One wish to work on a run. ``claimed_*`` name the process that took it, so that a dead claimer is noticed.

    A run has one open job at most, which the index sees to: on PostgreSQL two who ask at once do not see each other's row.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ux_jobs_open", "run_id", unique=True, sqlite_where=text(IS_OPEN), postgresql_where=text(IS_OPEN)),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(String(100), index=True)
    action: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16), index=True, default="queued")
    attempts: Mapped[int] = mapped_column(default=0)
    priority: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[str] = mapped_column(String(32), default=now)
    created_by: Mapped[str] = mapped_column(String(200), default="")
    claimed_at: Mapped[str | None] = mapped_column(String(32))
    claimed_pid: Mapped[int | None]
    claimed_started: Mapped[float | None]
    claimed_host: Mapped[str | None] = mapped_column(String(255))
    finished_at: Mapped[str | None] = mapped_column(String(32))
    message: Mapped[str] = mapped_column(default="")


@dataclass(frozen=True)
class Database:
    """An open, migrated database."""

    engine: Engine

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads; raises StoreError when the database cannot be reached."""
        with _plain_errors(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction, committed when the block ends well.

        On SQLite it holds the write lock from its first moment: what it reads cannot change before it writes, and it never fails half-way
        because another process wrote in between.

        Raises:
            StoreError: the database is locked for longer than 30 s, damaged or out of reach.
        """
        immediate = self.engine.execution_options(immediate=True)
        with _plain_errors(), Session(immediate, expire_on_commit=False) as session, session.begin():
            yield session


def open_database(workspace: Workspace) -> Database:
    """The workspace's database with every migration applied; opened once per process."""
    url = workspace.database_url
    with _opening:
        if url not in _opened:
            _opened[url] = _open(url)
        return _opened[url]


def close_database(workspace: Workspace) -> None:
    """Let go of the database file, so that it may be replaced."""
    with _opening:
        database = _opened.pop(workspace.database_url, None)
        if database is not None:
            database.engine.dispose()


def _open(url: str) -> Database:
    with _plain_errors():
        database = Database(_engine(url))
        file = database.engine.url.database if database.engine.dialect.name == "sqlite" else None
        # changing the journal mode ignores the busy timeout, so two first openers would fail without a lock of our own
        with FileLock(f"{file}.lock", timeout=BUSY_SECONDS * 4) if file else contextlib.nullcontext():
            _migrate(database.engine)
        return database


def _engine(url: str) -> Engine:
    try:
        engine = create_engine(url)
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreError(
            "HEIRLOOM_DATABASE_URL is not a database URL.", hint="Such as postgresql+psycopg://user@host/name."
        ) from error
    except ModuleNotFoundError as error:
        raise StoreError(
            f"The driver '{error.name}' for {make_url(url).drivername} is not installed.",
            hint=f"Install it: pip install {'psycopg[binary]' if error.name == 'psycopg' else error.name}.",
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late; _on_begin says it instead
    for pragma in (f"busy_timeout = {BUSY_SECONDS * 1000}", "foreign_keys = on", "synchronous = full"):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _migrate(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    if engine.dialect.name == "sqlite":
        with contextlib.closing(engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA journal_mode = wal")
    with engine.execution_options(immediate=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:name)"), {"name": _MIGRATING})
        config.attributes["connection"] = connection
        command.upgrade(config, "heads")


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn 'locked', 'unreachable' and 'damaged' into sentences; a broken constraint passes: only the caller knows what it means."""
    try:
        yield
    except (OperationalError, sqlite3.OperationalError) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise StoreError(
            f"The database cannot be used: {reason}.",
            hint="Check that HEIRLOOM_HOME can be written, has free space, and that the database server runs.",
        ) from error
    except (DatabaseError, sqlite3.DatabaseError) as error:
        if type(error) not in {DatabaseError, sqlite3.DatabaseError}:
            raise
        raise StoreError(
            f"The database is damaged: {getattr(error, 'orig', error)}.",
            hint="Restore a backup: heirloom restore FILE --force.",
        ) from error
