"""The store of engines: what was built is found again, and what is damaged, or of something else, is not."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.recipes import recipe
from vsr.backends.guarded import Parity
from vsr.backends.tensorrt.build import build_engine
from vsr.backends.tensorrt.store import EngineStore, Identity, Manifest
from vsr.cli import main
from vsr.core.errors import ConfigError, EngineNotFoundError, EngineStaleError, FileError


def test_an_engine_made_from_something_else_is_named_stale(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    identity = build_engine(recipe(), store).manifest.identity
    newer = dataclasses.replace(identity, version="99", driver="600.1")
    with pytest.raises(EngineStaleError, match="another version, driver") as raised:
        store.plan(newer)
    assert "vsr engine build" in raised.value.hint
    with pytest.raises(EngineNotFoundError):
        store.plan(dataclasses.replace(identity, recipe=recipe(batch=2).as_dict()))


def test_a_store_that_may_only_be_read_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EngineStore(tmp_path)
    build_engine(recipe(), store)
    monkeypatch.setattr(store, "locked", lambda _say: pytest.fail("nothing is to be locked"))
    assert build_engine(recipe(), store).was_there


@pytest.mark.parametrize("how", ["changed", "cut", "gone"])
def test_a_damaged_plan_is_refused(how: str, tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    built = build_engine(recipe(), store)
    path = built.folder / "engine.plan"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data if how == "changed" else data[:1000])
    if how == "gone":
        path.unlink()
    with pytest.raises(EngineStaleError, match=r"engine\.plan"):
        store.plan(built.manifest.identity)
    assert not build_engine(recipe(), store).was_there
    store.plan(built.manifest.identity)


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": {}},
        {"recipe": 5},
        {"recipe": {"model": "fast-x2", "width": []}},
        {"target": 5},
        {"created": None},
        {"plan_bytes": "x"},
        {"build_s": "x"},
        {"weights": "others"},
    ],
    ids=str,
)
def test_a_manifest_that_was_changed_is_no_engine_and_troubles_no_other(
    change: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = EngineStore(tmp_path)
    built = build_engine(recipe(), store)
    key, path = built.folder.name, built.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    ((name, value),) = change.items()
    (manifest if name in manifest else manifest["identity"])[name] = value
    path.write_text(json.dumps(manifest))
    other = build_engine(recipe(width=32), store).folder.name
    assert main(["engine", "list", "--store", str(tmp_path)]) == 0
    listed = {line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]}
    assert listed == {key: "damaged", other: "fast-x2"}
    assert main(["engine", "show", key, "--store", str(tmp_path)]) == 6
    assert f"engine remove {key}" in capsys.readouterr().err
    assert not build_engine(recipe(), store).was_there
    assert build_engine(recipe(), store).was_there
    path.write_text("")
    assert main(["engine", "remove", key, "--store", str(tmp_path)]) == 0
    assert store.keys() == [other]


def test_the_manifest_of_another_engine_makes_none_of_this(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    mine, other = (build_engine(recipe(width=width), store).folder for width in (64, 32))
    shutil.rmtree(mine)
    shutil.copytree(other, mine)
    assert not build_engine(recipe(), store).was_there


def test_what_a_killed_build_left_goes_with_the_next(tmp_path: Path) -> None:
    left = tmp_path / ".0123456789abcdef.x1y2z3"
    left.mkdir()
    (left / "manifest.json").write_text("{}")
    assert not EngineStore(tmp_path).keys()
    key = build_engine(recipe(), EngineStore(tmp_path)).folder.name
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", key]


def test_of_two_that_want_the_same_one_builds_and_the_other_waits(tmp_path: Path) -> None:
    found, said = list[bool](), list[str]()
    begun = threading.Barrier(3)

    def build() -> None:
        begun.wait()
        found.append(build_engine(recipe(), EngineStore(tmp_path), say=said.append).was_there)

    threads = [threading.Thread(target=build) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False, True, True]
    assert any("waiting" in doing for doing in said)
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith(".lock")) == [
        EngineStore(tmp_path).manifests()[0].identity.key
    ]


@pytest.mark.parametrize("folder", ["file", "file/store", "x" * 300])
def test_a_store_that_cannot_be_one_is_one_line(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    store = ["--store", str(tmp_path / folder)]
    for command in (["list"], ["build", "fast", "--for", "8.9"], ["remove", "12"], ["verify", "12"]):
        assert main(["engine", *command, *store]) in (2, 6, 7)
        error, hint = capsys.readouterr().err.splitlines()[-2:]
        assert error.startswith("error: ")
        assert "VSR_ENGINES" in hint


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk."""
    build = [
        sys.executable,
        "-m",
        "vsr",
        "engine",
        "build",
        "fast",
        "--size",
        "64x48",
        "--for",
        "8.9",
        "--store",
        str(tmp_path),
    ]
    found = subprocess.run(
        ["bash", "-c", 'ulimit -f 100; exec "$@"', "bash", *build],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (7, "")
    assert found.stderr.splitlines()[1].startswith("error: cannot keep the engine in ")
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_what_was_found_of_an_engine_is_kept_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = EngineStore(tmp_path)
    manifest = build_engine(recipe(), store).manifest
    store.record(dataclasses.replace(manifest, parity=Parity(61.5, 2, 0, 8)))
    assert store.named(manifest.identity.key).parity == Parity(61.5, 2, 0, 8)
    assert main(["engine", "list", "--store", str(tmp_path)]) == 0
    assert "61.5 dB from fp32, at most 2 codes" in capsys.readouterr().out


@pytest.fixture
def kept(tmp_path: Path) -> tuple[EngineStore, Path]:
    """A store, and the folder of the engine in it, which nobody built."""
    store = EngineStore(tmp_path / "store")
    store.folder.mkdir(mode=0o755)
    identity = Identity(recipe().as_dict(), "a", "b", "tensorrt_rtx", "1", "8.9", "")
    plan = b"plan"
    manifest = Manifest(identity, "", (), "2026", 1.0, len(plan), hashlib.sha256(plan).hexdigest())
    return store, store.add(manifest, plan, "")


@pytest.mark.parametrize("name", ["engine.plan", "manifest.json"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_links_and_special_files_are_no_engine(
    name: str, kind: str, kept: tuple[EngineStore, Path], tmp_path: Path
) -> None:
    store, folder = kept
    identity = store.named(folder.name).identity
    assert store.plan(identity) == b"plan"
    elsewhere = (folder / name).rename(tmp_path / name)
    if kind == "link":
        (folder / name).symlink_to(elsewhere)
    else:
        os.mkfifo(folder / name)
    assert store.whole(identity) is None
    with pytest.raises((EngineStaleError, EngineNotFoundError)):
        store.plan(identity)
    assert main(["engine", "list", "--store", str(store.folder)]) == 0


def test_a_link_to_an_engine_elsewhere_is_none(kept: tuple[EngineStore, Path], tmp_path: Path) -> None:
    store, folder = kept
    folder.rename(tmp_path / folder.name)
    folder.symlink_to(tmp_path / folder.name)
    assert store.find(folder.name) is None
    store.remove(folder.name)
    assert (tmp_path / folder.name).is_dir()


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_lock_that_leads_elsewhere_is_refused(kind: str, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    store = EngineStore(tmp_path / "store")
    store.folder.mkdir(mode=0o755)
    if kind == "link":
        (store.folder / ".lock").symlink_to(precious)
    else:
        os.mkfifo(store.folder / ".lock")
    with pytest.raises(FileError, match="cannot write in"), store.locked(pytest.fail):
        pytest.fail("locked")
    assert precious.read_text() == "kept"


@pytest.mark.parametrize("what", [".", "engine", "engine/engine.plan"])
def test_a_store_that_everybody_may_write_in_is_refused_with_the_remedy(
    what: str, kept: tuple[EngineStore, Path]
) -> None:
    store, folder = kept
    identity = store.named(folder.name).identity
    path = store.folder / what.replace("engine", folder.name, 1)
    path.chmod(path.stat().st_mode | 0o002)
    with pytest.raises(ConfigError, match="everybody may write") as refused:
        store.plan(identity)
    assert refused.value.hint is not None
    with pytest.raises(ConfigError):
        store.manifests()
    subprocess.run(["sh", "-c", refused.value.hint.partition("then: ")[2]], check=True)
    assert store.plan(identity) == b"plan"


def test_a_new_store_is_not_for_everybody(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with EngineStore(tmp_path / "store").locked(pytest.fail):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "store").stat().st_mode & 0o022 == 0
    assert EngineStore(tmp_path / "store").keys() == []
