"""A workspace goes into one file and comes back the same; a file that was tampered with changes nothing."""

from __future__ import annotations

import json
import socket
import stat
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from auditor.backup import INDEX, backup, restore
from distill import jobs
from distill.db import Job, open_database
from distill.errors import StoreError
from distill.files import write_text
from distill.store import RunStore
from distill.workspace import Workspace
from tests.home import make_run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv("HEIRLOOM_DATABASE_URL", raising=False)
    home = Workspace(tmp_path / "old").made()
    run = make_run(home, run_id="run-1")
    jobs.enqueue(home, run)
    jobs.claim(home)
    write_text(run.folder / "predictions" / "a.txt", "ü\n")
    write_text(home.cache / "signals" / "b.txt", "made again")
    write_text(home.root / "keys" / "signing.key", "secret")
    write_text(run.folder / ".labels.parquet.xyz.part", "half")
    (home.root / "link").symlink_to("/etc/passwd")
    return home


def content(home: Workspace) -> dict[str, bytes]:
    files = (path for path in home.root.rglob("*") if path.is_file() and not path.is_symlink())
    names = {path.relative_to(home.root).as_posix(): path for path in files}
    return {n: p.read_bytes() for n, p in names.items() if "heirloom.db" not in n and not n.endswith(".part")}


def test_there_and_back(home: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "all.zip"
    saved = backup(home, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    new = Workspace(tmp_path / "new").made()
    restored = restore(file, new)
    assert content(new) == content(home)
    assert (restored.files, restored.bytes, restored.aside) == (saved.files, saved.bytes, None)
    assert RunStore(new).get("run-1").spec == RunStore(home).get("run-1").spec
    (job,) = jobs.jobs(new)
    assert (job.run_id, job.state, job.claimed_host) == ("run-1", "failed", socket.gethostname())
    assert stat.S_IMODE((new.root / "keys" / "signing.key").stat().st_mode) == 0o600


def test_the_cache_may_stay_out(home: Workspace, tmp_path: Path) -> None:
    backup(home, tmp_path / "all.zip", with_cache=False)
    names = zipfile.ZipFile(tmp_path / "all.zip").namelist()
    assert not [name for name in names if name.startswith("cache") or name == "link" or name.endswith(".part")]


def test_an_open_transaction_does_not_tear_the_copy(home: Workspace, tmp_path: Path) -> None:
    with open_database(home).write() as session:
        session.query(Job).delete()
        session.flush()
        backup(home, tmp_path / "all.zip")
    new = Workspace(tmp_path / "new").made()
    restore(tmp_path / "all.zip", new)
    assert len(jobs.jobs(new)) == 1


def test_a_workspace_in_use_is_not_overwritten_unless_forced_and_then_set_aside(
    home: Workspace, tmp_path: Path
) -> None:
    backup(home, tmp_path / "all.zip")
    new = Workspace(tmp_path / "new").made()
    other = make_run(new, run_id="other-1")
    jobs.enqueue(new, other)
    with pytest.raises(StoreError, match="not empty"):
        restore(tmp_path / "all.zip", new)
    assert [run.id for run in RunStore(new).all()] == ["other-1"]
    done = restore(tmp_path / "all.zip", new, force=True)
    assert [run.id for run in RunStore(new).all()] == ["run-1"]
    assert [job.run_id for job in jobs.jobs(new)] == ["run-1"]
    assert done.aside is not None
    assert (done.aside / "runs" / "other-1" / "spec.yaml").exists()
    assert not list(new.root.glob(".restoring-*"))


def test_a_damaged_database_is_cured_by_a_forced_restore(home: Workspace, tmp_path: Path) -> None:
    backup(home, tmp_path / "all.zip")
    new = Workspace(tmp_path / "new").made()
    make_run(new, run_id="other-1")
    (new.root / "heirloom.db").write_bytes(b"rubbish" * 1000)
    restore(tmp_path / "all.zip", new, force=True)
    assert len(jobs.jobs(new)) == 1


def test_a_flipped_byte_is_found_and_nothing_is_changed(home: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "all.zip"
    backup(home, file)
    info = zipfile.ZipFile(file).getinfo("keys/signing.key")
    data = bytearray(file.read_bytes())
    data[data.index(b"secret", info.header_offset)] ^= 1
    file.write_bytes(data)
    new = Workspace(tmp_path / "new").made()
    with pytest.raises(StoreError):
        restore(file, new)
    assert content(new) == {}
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(StoreError, match="not a whole"):
        restore(file, new)
    with pytest.raises(StoreError, match="no file"):
        restore(tmp_path / "none.zip", new)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "C:\\evil", "a\\..\\evil", "link"])
def test_unsafe_paths_are_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEIRLOOM_DATABASE_URL", raising=False)
    data = b"evil"
    info = zipfile.ZipInfo(name)
    if name == "link":
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(info, data)
        files = {info.filename: {"sha256": sha256(data).hexdigest(), "bytes": len(data)}}
        archive.writestr(INDEX, json.dumps({"version": 1, "made_at": "", "files": files}))
    new = Workspace(tmp_path / "deep" / "new").made()
    with pytest.raises(StoreError, match="unsafe"):
        restore(tmp_path / "evil.zip", new)
    assert not list(tmp_path.rglob("evil"))


def test_no_backup_into_itself_nor_of_a_server(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="inside"):
        backup(home, home.root / "all.zip")
    monkeypatch.setenv("HEIRLOOM_DATABASE_URL", "postgresql+psycopg://u@localhost/x")
    with pytest.raises(StoreError, match="server"):
        backup(home, Path("/tmp/all.zip"))
