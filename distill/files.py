"""Files that are whole or absent, and the digests that name them."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from distill.errors import StoreError


def canonical_json(value: Any) -> str:
    """One spelling for one value: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def tree_digest(folder: Path, pattern: str = "*") -> str:
    """SHA-256 (hex) over the names and digests of the files below ``folder`` that match ``pattern``."""
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    return digest_of({str(path.relative_to(folder)): file_digest(path) for path in files})


def part_of(path: Path) -> Path:
    """A name beside ``path`` that nobody uses: for what becomes ``path`` when it is whole."""
    return path.parent / f".{path.name}.{secrets.token_hex(6)}.part"


@contextmanager
def atomic_path(path: Path, mode: int | None = None) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that replaces it only when the block ends well.

    Args:
        path: the file.
        mode: its rights from its first byte on; what the umask leaves of 0666 when None.

    Raises:
        StoreError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode))
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        raise StoreError(
            f"{path.name} could not be written: {error.strerror or error}.",
            hint=f"Free some space or check the rights of {path.parent}, then resume: finished stages are kept.",
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` (UTF-8), whole or not at all."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` by indented JSON with sorted keys, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def append_line(path: Path, line: str) -> None:
    """Append a line of its own in one call: where a power cut tore the last one, that stays torn and alone."""
    with path.open("a+b") as log:
        torn = b""
        if log.seek(0, os.SEEK_END):
            log.seek(-1, os.SEEK_END)
            torn = b"" if log.read(1) == b"\n" else b"\n"
        log.write(torn + line.encode() + b"\n")


def read_json(path: Path) -> Any:
    """The JSON value in ``path``; raises StoreError when the file is missing or torn."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StoreError(
            f"{path} is missing.", hint="Resume the run: the stage that writes it is done again."
        ) from error
    except ValueError as error:
        raise StoreError(
            f"{path} is damaged and cannot be read.", hint="Delete that file and resume the run: it is written again."
        ) from error
