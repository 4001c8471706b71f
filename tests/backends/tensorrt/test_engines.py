"""TensorRT engines: built without a GPU for named compute capabilities, compared and refused."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.recipes import recipe
from tests.support.tiers import slow_except
from vsr.backends.choose import has_nvidia_gpu
from vsr.backends.tensorrt.build import build_engine
from vsr.backends.tensorrt.cuda_graph import captured
from vsr.backends.tensorrt.library import installed_library
from vsr.backends.tensorrt.store import EngineStore
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
from vsr.jobs.engine_builds import batches, verify_engine
from vsr.media.samples import CLIP
from vsr.models.registry import SHIPPED, find_model

CAPABILITIES = ["8.6", "8.9", "12.0"]


@pytest.mark.parametrize("name", slow_except("fast-x2", SHIPPED))
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


@pytest.mark.slow
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


def test_frames_of_4k_need_no_setting(tmp_path: Path) -> None:
    wanted = recipe(model="quality-x2", width=3840, height=2160)
    assert build_engine(wanted, EngineStore(tmp_path)).manifest.plan_bytes > 10_000
    with pytest.raises(EngineBuildError, match="OutOfMemory") as raised:
        build_engine(dataclasses.replace(wanted, workspace_mb=256), EngineStore(tmp_path))
    assert "workspace_mb = 256" in raised.value.hint


@pytest.mark.skipif(has_nvidia_gpu(), reason="there is a GPU")
def test_without_a_gpu_one_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(VsrError) as raised:
        build_engine(recipe(compute_capabilities=[]), EngineStore(tmp_path))
    assert "--for" in raised.value.hint


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--store", str(tmp_path)]
    build = ["engine", "build", "fast", "--size", "64x48", "--for", "8.6", *store]
    assert main(build) == 0
    key = capsys.readouterr().out.split()[0]
    assert main(build) == 0
    assert "was there" in capsys.readouterr().out
    assert main(["engine", "list", *store]) == 0
    assert key in capsys.readouterr().out
    assert main(["engine", "show", key[:6], *store, "--json"]) == 0
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
    assert f"Builds on this machine took {took:.1f} s" in said[2]


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
def test_without_a_driver_nothing_is_captured() -> None:
    done: list[int] = []
    assert captured(0, lambda: done.append(1)) is None
    assert not done
