"""TensorRT engines: built without a GPU for named compute capabilities, kept, found again, and refused when they don't fit."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vsr.backends.choose import has_nvidia_gpu
from vsr.backends.guarded import Parity
from vsr.backends.trt.build import build_engine
from vsr.backends.trt.graph import recorded
from vsr.backends.trt.library import installed_library
from vsr.backends.trt.recipe import EngineRecipe, Extent, load_recipe, recipe_for, recipe_from_dict
from vsr.backends.trt.store import EngineStore
from vsr.cli import main
from vsr.convert.export import export_model
from vsr.core.errors import (
    ConfigError,
    EngineBuildError,
    EngineNotFoundError,
    EngineStaleError,
    MissingDependencyError,
    UnknownModelError,
    VsrError,
)
from vsr.jobs.engines import batches, verify_engine
from vsr.media.samples import CLIP
from vsr.models.registry import SHIPPED, find_model
from vsr.models.spec import GraphLayout, load_spec

ROOT = Path(__file__).parents[2]
CAPABILITIES = ["8.6", "8.9", "12.0"]


def recipe(**settings: Any) -> EngineRecipe:
    small = {"model": "fast-x2", "width": 64, "height": 48, "compute_capabilities": ["8.9"]}
    return recipe_from_dict(small | settings)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("layout", ["yuv8-left", "rgb16"])
def test_every_shipped_package_makes_an_engine(name: str, layout: str, tmp_path: Path) -> None:
    spec = find_model(name)
    precision = "fp32" if spec.precision == "fp32" else "fp16"
    wanted = recipe(model=name, layout=layout, precision=precision, compute_capabilities=CAPABILITIES)
    store, phases = EngineStore(tmp_path), list[str]()
    built = build_engine(wanted, store, on_progress=lambda phase, _done, _steps: phases.append(phase))
    manifest = json.loads((built.folder / "manifest.json").read_text())
    planes = {"yuv8-left": "yuv", "rgb16": "gbr"}[layout]
    types = {port["name"]: port["dtype"] for port in manifest["ports"]}
    assert {types[f"{plane}{end}"] for plane in planes for end in ("", "_out")} == {"uint8"}
    assert types["gain"] == types["max_code"] == "float"
    shapes = {port["name"]: port["shape"] for port in manifest["ports"]}
    assert all(len(shapes[plane]) == 4 and shapes[plane][1] == 1 for plane in planes)
    assert [port["is_input"] for port in manifest["ports"]].count(False) == 4  # With the guard's.
    assert manifest["identity"]["target"] == "8.6, 8.9, 12.0"
    assert manifest["key"] == built.folder.name == built.manifest.identity.key
    assert phases
    assert (built.folder / "build.log").is_file()
    plan = store.plan(built.manifest.identity)
    assert len(plan) == manifest["plan_bytes"] > 10_000


def test_the_second_time_it_is_there_and_any_other_field_is_another_engine(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    first = build_engine(recipe(), store)
    second = build_engine(recipe(), store)
    assert (first.was_there, second.was_there) == (False, True)
    assert first.manifest == second.manifest
    assert not build_engine(recipe(), store, again=True).was_there
    others = {"width": 66, "height": [48, 48, 96], "batch": 2, "precision": "bf16", "layout": "gray8", "chroma": "4:4:4",
              "workspace_mb": 64, "keep_fp32": ["net/conv1"], "min_psnr_db": 45, "optimization_level": 1,
              "compute_capabilities": ["8.6"], "model": "balanced-x2"}  # fmt: skip
    keys = {first.manifest.identity.key}
    for name, value in others.items():
        built = build_engine(recipe(**{name: value}), store)
        assert not built.was_there, name
        keys.add(built.manifest.identity.key)
    identity = first.manifest.identity
    for field in ("graph", "weights", "library", "version", "target", "driver"):
        keys.add(dataclasses.replace(identity, **{field: "another"}).key)
    assert len(keys) == 1 + len(others) + 6


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


def test_a_package_of_ones_own_is_not_mistaken_for_one_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(find_model("bicubic").folder, tmp_path / "fast")
    monkeypatch.chdir(tmp_path)
    spec, layout = load_spec(Path("fast")), GraphLayout("gray", 1)
    found = recipe_for(spec, layout, {"y": (1, 1, 48, 64)}, "fp32")
    assert find_model(found.model).id == "bicubic-x2"
    assert (found.width, found.height, found.precision) == (Extent(64, 64, 64), Extent(48, 48, 48), "fp32")


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


def test_ctrl_c_ends_a_build(tmp_path: Path) -> None:
    phases: list[str] = []

    def interrupt(phase: str, _done: int, _steps: int) -> None:
        phases.append(phase)
        if len(phases) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        build_engine(recipe(), EngineStore(tmp_path), on_progress=interrupt)
    assert not EngineStore(tmp_path).keys()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("build")]
    assert not build_engine(recipe(), EngineStore(tmp_path)).was_there


def test_what_a_killed_build_left_goes_with_the_next(tmp_path: Path) -> None:
    left = tmp_path / ".0123456789abcdef.x1y2z3"
    left.mkdir()
    (left / "manifest.json").write_text("{}")
    assert not EngineStore(tmp_path).keys()
    key = build_engine(recipe(), EngineStore(tmp_path)).folder.name
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", key]


def test_frames_of_4k_need_no_setting(tmp_path: Path) -> None:
    wanted = recipe(model="quality-x2", width=3840, height=2160)
    assert build_engine(wanted, EngineStore(tmp_path)).manifest.plan_bytes > 10_000
    with pytest.raises(EngineBuildError, match="OutOfMemory") as raised:
        build_engine(dataclasses.replace(wanted, workspace_mb=256), EngineStore(tmp_path))
    assert "workspace_mb = 256" in raised.value.hint


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
        assert main(["engine", *command, *store]) in (2, 6)
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
    assert (found.returncode, found.stdout) == (6, "")
    assert found.stderr.splitlines()[1].startswith("error: cannot keep the engine in ")
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("path", sorted((ROOT / "engines" / "recipes").glob("*.toml")), ids=lambda p: p.stem)
def test_the_recipes_that_come_along_are_whole(path: Path) -> None:
    found = load_recipe(path)
    assert recipe_from_dict(found.as_dict()) == found
    assert find_model(found.model).id == found.model


@pytest.mark.skipif(has_nvidia_gpu(), reason="there is a GPU")
def test_without_a_gpu_one_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(VsrError) as raised:
        build_engine(recipe(compute_capabilities=[]), EngineStore(tmp_path))
    assert "--for" in raised.value.hint


def test_shapes_of_planes() -> None:
    found = recipe(width=[64, 128, 130], height=48, batch=[1, 2, 4], layout="yuv16-left")
    assert found.width == Extent(64, 128, 130)
    shapes = found.plane_shapes()
    assert shapes["y"] == ((1, 1, 48, 128), (2, 1, 48, 256), (4, 1, 48, 260))
    assert shapes["u"] == ((1, 1, 24, 64), (2, 1, 24, 128), (4, 1, 24, 130))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"widht": 3}, "widht"),
        ({"width": [3, 2, 1]}, "min, opt, max"),
        ({"width": 0}, "from 1 to 16384"),
        ({"height": 2**63}, "from 1 to 16384"),
        ({"batch": 65}, "from 1 to 64"),
        ({"width": 16384, "height": 16384, "batch": 2}, "more than one engine takes"),
        ({"workspace_mb": 10**17}, "workspace_mb"),
        ({"compute_capabilities": ["8.²"]}, "no compute capability"),
        ({"model": "x" * 300}, "too long"),
        ({"width": "64"}, "width"),
        ({"precision": "int4"}, "precision"),
        ({"layout": "nv12"}, "layout"),
        ({"compute_capabilities": ["Ada"]}, "Ada"),
        ({"compute_capabilities": ["9.0"]}, "9.0"),
        ({"optimization_level": 9}, "optimization_level"),
        ({"workspace_mb": "much"}, "workspace_mb"),
        ({"keep_fp32": ["net/conv99"]}, "does not make"),
        ({"min_psnr_db": 100}, "min_psnr_db"),
    ],
)
def test_what_cannot_be_is_refused_in_words(settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        build_engine(recipe(**settings), EngineStore(tmp_path))
    assert not [p for p in tmp_path.iterdir() if p.name != ".lock"]


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--store", str(tmp_path)]
    build = ["engine", "build", "fast", "--size", "64x48", "--for", "8.6", *store]
    assert main(build) == 0
    key = capsys.readouterr().out.split()[0]
    assert main(build) == 0
    assert "was there" in capsys.readouterr().out
    assert main(["engine", "list", *store]) == 0
    assert key in capsys.readouterr().out
    assert main(["engine", "show", key[:6], *store]) == 0
    assert json.loads(capsys.readouterr().out)["identity"]["recipe"]["width"] == 64
    assert main(["engine", "remove", key[:6], key, *store]) == 0
    assert main(["engine", "show", key, *store]) == 6
    assert "vsr engine list" in capsys.readouterr().err
    with pytest.raises(UnknownModelError):
        build_engine(recipe(model="none"), EngineStore(tmp_path))


def test_building_can_be_forbidden_and_says_how_long_it_took_before(tmp_path: Path) -> None:
    store, said = EngineStore(tmp_path), list[str]()
    with pytest.raises(EngineNotFoundError, match="no engine for fast-x2"):
        build_engine(recipe(), store, may_build=False)
    build_engine(recipe(), store, say=said.append)
    assert said[0].startswith("building the engine of fast-x2")
    assert "minutes" in said[0]
    assert said[1] == ""
    assert build_engine(recipe(), store, may_build=False).was_there
    (took,) = (manifest.build_s for manifest in store.manifests())
    build_engine(recipe(width=32), store, say=said.append)
    assert f"builds here took {took:.1f} s" in said[2]


@pytest.mark.parametrize(("precision", "capabilities"), [("int8", CAPABILITIES), ("fp8", ["8.9", "12.0"])])
def test_a_calibrated_package_makes_an_engine_in_8_bits(
    precision: str, capabilities: list[str], tmp_path: Path
) -> None:
    weights = find_model("fast").folder / "weights.safetensors"
    export_model(weights, tmp_path / "calibrated", calibrate=[CLIP])
    mine = {"model": str(tmp_path / "calibrated"), "precision": precision}
    store = EngineStore(tmp_path / "store")
    built = build_engine(recipe(**mine, compute_capabilities=capabilities), store)
    assert built.manifest.plan_bytes > 10_000
    assert built.manifest.identity.recipe["precision"] == precision
    with pytest.raises(ConfigError, match=f"not calibrated for {precision}"):
        build_engine(recipe(model="quality", precision=precision), store)


def test_a_gpu_without_fp8_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"8\.6 does not compute in fp8") as raised:
        build_engine(recipe(precision="fp8", compute_capabilities=["12.0", "8.6"]), EngineStore(tmp_path))
    assert raised.value.hint == "--precision int8"


def test_what_was_found_of_an_engine_is_kept_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = EngineStore(tmp_path)
    manifest = build_engine(recipe(), store).manifest
    store.record(dataclasses.replace(manifest, parity=Parity(61.5, 2, 0, 8)))
    assert store.named(manifest.identity.key).parity == Parity(61.5, 2, 0, 8)
    assert main(["engine", "list", "--store", str(tmp_path)]) == 0
    assert "61.5 dB from fp32, at most 2 codes" in capsys.readouterr().out


def test_an_engine_is_verified_only_beside_the_network_it_was_made_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package, store = tmp_path / "package", EngineStore(tmp_path / "store")
    shutil.copytree(find_model("fast").folder, package)
    key = build_engine(recipe(model=str(package)), store).manifest.identity.key
    if not has_nvidia_gpu():
        assert main(["engine", "verify", key, "--store", str(store.folder)]) == 3
        assert capsys.readouterr().err.startswith("error: PyCUDA cannot be loaded")
    weights = bytearray((package / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (package / "weights.safetensors").write_bytes(weights)
    with pytest.raises(EngineStaleError, match="another weights"):
        verify_engine(key, store)


@pytest.mark.parametrize("settings", [{}, {"layout": "yuv16-left", "batch": 2}, {"layout": "rgb8"}, {"layout": "gray8"},
                                      {"chroma": "4:2:2"}])  # fmt: skip
def test_frames_of_a_video_as_an_engine_takes_them(settings: dict[str, Any]) -> None:
    wanted = recipe(width=128, height=96, **settings)
    found = list(batches(wanted, str(CLIP), 4))
    assert len(found) == 4 // wanted.batch.opt
    for inputs in found:
        for name, (_least, best, _most) in wanted.plane_shapes().items():
            assert (inputs[name].shape, inputs[name].dtype) == (best, "uint8")
            assert len(np.unique(inputs[name])) > 20
        assert float(inputs["max_code"]) == (1023 if wanted.layout == "yuv16-left" else 255)


@pytest.mark.skipif(has_nvidia_gpu(), reason="there is a GPU")
def test_a_driver_that_is_too_old_is_named_and_no_engine_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, library = EngineStore(tmp_path), installed_library("tensorrt_rtx")
    plan = store.plan(build_engine(recipe(), store).manifest.identity)
    with pytest.raises(MissingDependencyError, match="driver version is insufficient") as raised:
        library.load(plan)
    assert "newer driver" in raised.value.hint

    def nothing(_log: object) -> None:
        raise TypeError("pybind11::init(): factory function returned nullptr")  # As TensorRT does.

    monkeypatch.setattr(library._module, "Builder", nothing)
    with pytest.raises(MissingDependencyError, match="does not start"):
        build_engine(recipe(width=32), store)


@pytest.mark.skipif(has_nvidia_gpu(), reason="there is a GPU")
def test_without_a_driver_nothing_is_recorded() -> None:
    done: list[int] = []
    assert recorded(0, lambda: done.append(1)) is None
    assert not done
