"""A whole workspace in one ZIP file, with a digest for each file, and back.

The archive holds the files as they lie in the workspace, a consistent copy of each SQLite database among them (what people decided, what
endpoints answered and cost), and ``BACKUP.json`` with the SHA-256 of each. It holds the signing key and every text of every run, so it is as secret as the workspace.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import BaseModel, ConfigDict
from sqlalchemy.engine import make_url

from distill import jobs
from distill.db import close_database
from distill.errors import StoreError
from distill.events import now
from distill.executor import LocalExecutor
from distill.files import atomic_path
from distill.workspace import Workspace

INDEX = "BACKUP.json"
DATABASE = "heirloom.db"
LEFT_OUT = {"runners", "process.json", "cancel", ".reserve"}
_BLOCK = 1 << 20
_LONGEST_INDEX = 200 << 20
_MAGIC = b"SQLite format 3\0"
_PACKED = {".json", ".jsonl", ".yaml", ".log", ".csv", ".db", ".txt", ".md", ".html"}


class _File(BaseModel):
    model_config = ConfigDict(frozen=True)
    sha256: str
    bytes: int


class _Index(BaseModel):
    model_config = ConfigDict(frozen=True)
    version: int
    made_at: str
    files: dict[str, _File]


@dataclass(frozen=True)
class Summary:
    """What a backup or a restore moved; ``aside`` is where the earlier content of the workspace went."""

    files: int
    bytes: int
    aside: Path | None = None


def backup(workspace: Workspace, target: Path, with_cache: bool = True) -> Summary:
    """Write the workspace into ``target``; safe while runs go on (they are in it as far as they had come).

    Args:
        workspace: what to save.
        target: the ZIP file; replaced whole or not at all, readable by its owner only.
        with_cache: also the fine-tuned teachers and signals, which could be made again.

    Raises:
        StoreError: the target cannot be written, lies inside the workspace, a database is damaged, or the database is on a server.
    """
    database = _sqlite_file(workspace)
    if target.resolve().is_relative_to(workspace.root.resolve()):
        raise StoreError("A backup inside the workspace would hold itself.", hint="Choose a file elsewhere.")
    index: dict[str, _File] = {}
    with atomic_path(target.resolve(), 0o600) as part, zipfile.ZipFile(part, "w") as archive:
        for path, name in _files(workspace, with_cache):
            with contextlib.suppress(FileNotFoundError):  # a temporary file that was just renamed
                index[name] = _pack_sqlite(archive, path, name) if _is_sqlite(path) else _pack(archive, path, name)
        if database.exists():
            index[DATABASE] = _pack_sqlite(archive, database, DATABASE)
        made = _Index(version=1, made_at=now(), files=index)
        archive.writestr(INDEX, made.model_dump_json(indent=1), zipfile.ZIP_DEFLATED)
    return Summary(len(index), sum(file.bytes for file in index.values()))


def restore(source: Path, workspace: Workspace, force: bool = False) -> Summary:
    """Make the workspace what it was when ``source`` was made. Nothing is put in place before every digest is right.

    Args:
        source: a file that :func:`backup` wrote.
        workspace: an empty one, or with ``force`` any; its earlier content is moved into a folder ``replaced-…`` inside it, and so is the
            database of ``HEIRLOOM_DATABASE_URL`` where that is a file elsewhere.
        force: see above.

    Raises:
        StoreError: not a backup, damaged, a path that leads out of the workspace, a workspace in use or not empty, or no space.
    """
    database = _sqlite_file(workspace)
    if not force and any(any(folder.iterdir()) for folder in (workspace.runs, workspace.uploads)):
        raise StoreError(
            f"The workspace {workspace.root} is not empty.", hint="Set HEIRLOOM_HOME to a new folder, or use --force."
        )
    if not force and _is_elsewhere(database, workspace) and database.exists():
        raise StoreError(
            f"The database {database} is there already, perhaps of another workspace.",
            hint="Set HEIRLOOM_DATABASE_URL to a new file, or use --force, which sets it aside.",
        )
    if LocalExecutor().alive(workspace):
        raise StoreError("A run is going on in this workspace.", hint="Cancel it, or wait for its end.")
    if database.parent.exists() and not os.access(database.parent, os.W_OK):
        raise StoreError(
            f"The database {database} cannot be replaced.",
            hint="Make its folder writable, or unset HEIRLOOM_DATABASE_URL.",
        )
    staging = Path(tempfile.mkdtemp(prefix=".restoring-", dir=workspace.root))
    try:
        index = _unpack(source, staging)
        close_database(workspace)
        aside = _move_aside(workspace)
        for path in staging.iterdir():
            target = workspace.root / path.name
            if target.is_dir():
                target.rmdir()  # an empty folder of a new workspace
            path.rename(target)
        _place_database(workspace.root / DATABASE, database)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    jobs.close_claimed(workspace.made(), "The workspace was restored from a backup.")
    return Summary(len(index.files), sum(file.bytes for file in index.files.values()), aside)


def _sqlite_file(workspace: Workspace) -> Path:
    """The database file; raises StoreError when the database is on a server, which has backups of its own."""
    url = make_url(workspace.database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise StoreError(
            f"The database is on a {url.get_backend_name()} server, which this command does not copy.",
            hint="Use the server's own backup (pg_dump) and copy the workspace folder beside it.",
        )
    return Path(url.database)


def _is_elsewhere(database: Path, workspace: Workspace) -> bool:
    """True for a database file outside the workspace."""
    return not database.resolve().is_relative_to(workspace.root.resolve())


def _files(workspace: Workspace, with_cache: bool) -> Iterator[tuple[Path, str]]:
    """Every file to save with its name in the archive. Links are not followed, half-written files and logs of SQLite are left out."""
    skipped = LEFT_OUT | (set() if with_cache else {"cache"})
    database = _with_logs(_sqlite_file(workspace).resolve())
    for folder, names, files in os.walk(workspace.root):
        here = Path(folder)
        top = here == workspace.root
        names[:] = sorted(
            n for n in names if not (top and (n in skipped or n.startswith((".restoring-", "replaced-"))))
        )
        logs = {log.name for name in files if _is_sqlite(here / name) for log in _with_logs(here / name)[1:]}
        for name in sorted(set(files) - logs):
            path = here / name
            is_database = (top and name.startswith(DATABASE)) or path.resolve() in database
            if is_database or name in skipped or name.endswith((".part", ".lock")) or path.is_symlink():
                continue
            yield path, path.relative_to(workspace.root).as_posix()


def _with_logs(database: Path) -> list[Path]:
    """A SQLite file and where it may keep what is not in it yet."""
    return [database, *(database.with_name(database.name + end) for end in ("-wal", "-shm", "-journal"))]


def _is_sqlite(path: Path) -> bool:
    """True for a database, by its first bytes; False for what cannot be read or is gone by now."""
    try:
        with path.open("rb") as file:
            return not path.is_symlink() and file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def _pack(archive: zipfile.ZipFile, path: Path, name: str) -> _File:
    """Add one file and return its digest, computed from the very bytes that went in."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as source:
        info = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
        info.compress_type = zipfile.ZIP_DEFLATED if path.suffix in _PACKED else zipfile.ZIP_STORED
        with archive.open(info, "w", force_zip64=True) as target:
            while block := source.read(_BLOCK):
                digest.update(block)
                size += len(block)
                target.write(block)
    return _File(sha256=digest.hexdigest(), bytes=size)


def _pack_sqlite(archive: zipfile.ZipFile, database: Path, name: str) -> _File:
    """Add a consistent copy of a database, even while others write into it; its logs are in the copy."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        try:
            opened = sqlite3.connect(f"{database.resolve().as_uri()}?mode=rw", uri=True)
            with contextlib.closing(opened) as source, contextlib.closing(sqlite3.connect(copy)) as target:
                source.backup(target)
                target.execute("PRAGMA journal_mode = delete")
        except sqlite3.Error as error:
            raise StoreError(
                f"The database {database} cannot be copied: {error}.",
                hint="Move it away if it is damaged, then try again.",
            ) from error
        copy.chmod(stat.S_IMODE(database.stat().st_mode))
        return _pack(archive, copy, name)


def _unpack(source: Path, staging: Path) -> _Index:
    """Extract and check everything; raises StoreError before anything outside ``staging`` was touched."""
    damaged = StoreError(f"{source} is not a whole Heirloom backup.", hint="Take another copy of the file.")
    try:
        with zipfile.ZipFile(source) as archive:
            members = {member.filename: member for member in archive.infolist()}
            if members[INDEX].file_size > _LONGEST_INDEX:
                raise damaged
            index = _Index.model_validate_json(archive.read(INDEX))
            names = set(members) - {INDEX}
            if names != set(index.files) or len(members) != len(archive.infolist()):
                raise damaged
            for member in members.values():
                _require_safe(member)
            _require_space(index, staging)
            for name, file in index.files.items():
                with archive.open(members[name]) as packed:
                    _extract(packed, staging / name, file, members[name])
    except FileNotFoundError as error:
        raise StoreError(f"There is no file {source}.", hint="Check the path.") from error
    except (zipfile.BadZipFile, KeyError, ValueError, RuntimeError, EOFError) as error:
        raise damaged from error
    except OSError as error:
        raise StoreError(
            f"The backup cannot be unpacked: {error.strerror or error}.", hint="Free some space."
        ) from error
    return index


def _require_safe(member: zipfile.ZipInfo) -> None:
    """Raise StoreError for a path that leads out of the workspace, or for a link."""
    path = PurePosixPath(member.filename)
    strange = not path.parts or path.is_absolute() or ".." in path.parts or set(member.filename) & {"\\", "\0", ":"}
    if strange or stat.S_IFMT(member.external_attr >> 16) not in {0, stat.S_IFREG}:
        raise StoreError(
            f"The backup has an unsafe path ({member.filename[:80]!r}).",
            hint="Do not use this file: it was tampered with.",
        )


def _require_space(index: _Index, staging: Path) -> None:
    need, free = sum(file.bytes for file in index.files.values()), shutil.disk_usage(staging).free
    if need > free:
        raise StoreError(
            f"The backup needs {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free.", hint="Free some space."
        )


def _extract(packed: IO[bytes], target: Path, file: _File, member: zipfile.ZipInfo) -> None:
    """Write one member, never more than it says it has, and hold it against its digest; nobody may read it who could not before."""
    target.parent.mkdir(parents=True, exist_ok=True)
    rights = 0o600 if "key" in target.name else 0o600 | ((member.external_attr >> 16 or 0o666) & 0o066)
    digest, size = hashlib.sha256(), 0
    with open(target, "xb", opener=lambda path, flags: os.open(path, flags, rights)) as out:
        while (block := packed.read(_BLOCK)) and size <= file.bytes:
            digest.update(block)
            size += len(block)
            out.write(block)
    if size != file.bytes or digest.hexdigest() != file.sha256:
        raise StoreError(
            f"{member.filename} in the backup is damaged.", hint="Take another copy of the backup; nothing was changed."
        )


def _move_aside(workspace: Workspace) -> Path | None:
    """Put all that the workspace holds into a folder of its own; nothing is lost by a restore. None when there was nothing."""
    found = {
        path: path.name
        for path in workspace.root.iterdir()
        if path.name != "runners"
        and not path.name.startswith((".restoring-", "replaced-"))
        and (path.is_file() or any(path.iterdir()))
    }
    database = _sqlite_file(workspace).resolve()
    if _is_elsewhere(database, workspace):
        found |= {path: f"database/{path.name}" for path in _with_logs(database) if path.exists()}
    if not found:
        return None
    aside = Path(tempfile.mkdtemp(prefix=f"replaced-{now()[:10]}-", dir=workspace.root))
    for path, name in found.items():
        (aside / name).parent.mkdir(exist_ok=True)
        shutil.move(path, aside / name)  # the database may lie on another disk
    return aside


def _place_database(restored: Path, database: Path) -> None:
    """Move the database to where ``HEIRLOOM_DATABASE_URL`` wants it; it came out of the archive in the workspace's root."""
    if restored.exists() and restored.resolve() != database.resolve():
        with atomic_path(database, stat.S_IMODE(restored.stat().st_mode)) as part:
            shutil.copyfile(restored, part)
        restored.unlink()
