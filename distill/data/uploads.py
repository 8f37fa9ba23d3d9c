"""Files that come through the browser: kept in the workspace under the name of their content."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from distill.errors import DataError
from distill.files import atomic_path
from distill.workspace import Workspace

DEFAULT_LIMIT_MB = 200.0
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


def upload_limit() -> int:
    """Largest upload in bytes: ``HEIRLOOM_MAX_UPLOAD_MB``, or 200 MB."""
    raw = os.environ.get("HEIRLOOM_MAX_UPLOAD_MB", "")
    try:
        return int(float(raw or DEFAULT_LIMIT_MB) * 1_000_000)
    except ValueError as error:
        raise DataError(
            f"HEIRLOOM_MAX_UPLOAD_MB is '{raw}', not a number.", hint="Give megabytes, such as 200."
        ) from error


def save_upload(workspace: Workspace, name: str, data: bytes, limit: int | None = None) -> Path:
    """Keep an upload; the same bytes give the same file, whatever they were called.

    Args:
        workspace: where it is kept.
        name: the name the browser sent; only its suffix is used, and nothing of its path.
        data: the bytes.
        limit: largest size in bytes; ``upload_limit()`` when None.

    Raises:
        DataError: empty, or larger than the limit.
        StoreError: the workspace cannot be written.
    """
    allowed = upload_limit() if limit is None else limit
    shown = Path(name.replace("\\", "/")).name[:80] or "The upload"
    if not data:
        raise DataError(f"{shown} is empty.", hint="Choose a file with rows in it.")
    if len(data) > allowed:
        raise DataError(
            f"{shown} has {len(data) / 1e6:,.1f} MB; at most {allowed / 1e6:,.0f} MB are taken.",
            hint="Give a path on the server instead, or raise HEIRLOOM_MAX_UPLOAD_MB.",
        )
    suffix = Path(shown).suffix.lower()
    path = workspace.uploads / (hashlib.sha256(data).hexdigest() + (suffix if _SUFFIX.fullmatch(suffix) else ".data"))
    if not path.exists():
        with atomic_path(path) as part:
            part.write_bytes(data)
    return path
