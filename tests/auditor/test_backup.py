"""A workspace goes into one file and comes back the same; a file that was tampered with changes nothing."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import stat
import threading
import time
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from auditor import backup as backups
from auditor.backup import INDEX, backup, restore
from distill import jobs
from distill.db import Job, close_database, open_database
from distill.endpoint.answers import AnswerStore, Spent
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


def test_money_is_copied_whole_while_a_writer_is_under_way(home: Workspace, tmp_path: Path) -> None:
    store = AnswerStore(home.cache)
    done = threading.Event()
    told: list[int] = []

    def ask() -> None:
        mine = AnswerStore(home.cache)
        while not done.is_set():
            told.append(mine.sent("run-1", f"key-{len(told)}", Spent(1, 10, 10, 0.5)))
        mine.close()

    writer = threading.Thread(target=ask)
    writer.start()
    try:
        for n in range(5):
            before = len(told)
            while len(told) < before + 20:
                time.sleep(0.001)
            known = len(told)
            backup(home, tmp_path / f"{n}.zip")
            assert {"cache/endpoint/answers.db"} == {
                name for name in zipfile.ZipFile(tmp_path / f"{n}.zip").namelist() if name.startswith("cache/endpoint")
            }
            new = Workspace(tmp_path / f"new-{n}").made()
            restore(tmp_path / f"{n}.zip", new)
            with contextlib.closing(sqlite3.connect(new.cache / "endpoint" / "answers.db")) as copy:
                assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                ((rows, usd),) = copy.execute("SELECT count(*), sum(usd) FROM requests").fetchall()
            assert known <= rows <= len(told) + 1
            assert usd == rows * 0.5
    finally:
        done.set()
        writer.join()
        store.close()


@pytest.mark.parametrize("inside", [True, False])
def test_a_database_elsewhere_is_restored_to_where_it_is(
    home: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    backup(home, tmp_path / "all.zip")
    new = Workspace(tmp_path / "new").made()
    database = (new.root / "db" if inside else tmp_path / "other") / "q.db"
    database.parent.mkdir()
    monkeypatch.setenv("HEIRLOOM_DATABASE_URL", f"sqlite:///{database}")
    jobs.enqueue(new, make_run(new, run_id="other-1"))
    backup(new, tmp_path / "second.zip")
    names = zipfile.ZipFile(tmp_path / "second.zip").namelist()
    assert [name for name in names if "db" in name] == ["heirloom.db"]
    if not inside:
        with pytest.raises(StoreError, match="perhaps of another workspace"):
            restore(tmp_path / "all.zip", Workspace(tmp_path / "third").made())
    done = restore(tmp_path / "all.zip", new, force=True)
    assert [job.run_id for job in jobs.jobs(new)] == ["run-1"]
    assert not (new.root / "heirloom.db").exists()
    assert done.aside is not None
    with contextlib.closing(sqlite3.connect(done.aside / ("db" if inside else "database") / "q.db")) as old:
        assert old.execute("SELECT run_id FROM jobs").fetchall() == [("other-1",)]
    restore(tmp_path / "second.zip", new, force=True)
    assert [job.run_id for job in jobs.jobs(new)] == ["other-1"]


def test_a_damaged_database_is_no_backup(home: Workspace, tmp_path: Path) -> None:
    close_database(home)
    database = home.root / "heirloom.db"
    database.write_bytes(database.read_bytes()[:100] + b"rubbish" * 1000)
    with pytest.raises(StoreError, match=r"heirloom\.db cannot be copied"):
        backup(home, tmp_path / "all.zip")
    assert not list(tmp_path.glob("*.zip"))


def test_nobody_else_may_read_it_at_any_moment(
    home: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()
    pack = backups._pack

    def watch(archive: zipfile.ZipFile, path: Path, name: str) -> backups._File:
        seen.update(stat.S_IMODE(part.stat().st_mode) for part in tmp_path.glob(".all.zip*"))
        return pack(archive, path, name)

    monkeypatch.setattr(backups, "_pack", watch)
    backup(home, tmp_path / "all.zip")
    assert seen == {0o600}
    before = os.umask(0o077)
    try:
        new = Workspace(tmp_path / "new").made()
        restore(tmp_path / "all.zip", new)
        write_text(new.root / "texts.txt", "what people said")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in new.root.rglob("*") if path.is_file()}
    assert {name: mode for name, mode in modes.items() if mode & 0o077 and not name.endswith(".lock")} == {}
    write_text(tmp_path / "texts.txt", "what people said")
    assert stat.S_IMODE((tmp_path / "texts.txt").stat().st_mode) == 0o666 & ~before


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
