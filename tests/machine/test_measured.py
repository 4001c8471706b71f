"""The precision that is fastest here: measured once, kept, and used by whatever runs that network later."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vsr.backends.base import Arrays, Availability, CompileOptions, Engine
from vsr.backends.choose import load_backend
from vsr.core.errors import EngineBuildError
from vsr.machine import doctor
from vsr.machine.measured import best_of, chosen, measured_here, precision_for, seconds_a_pixel
from vsr.models import GraphLayout, ModelSpec, Precision, find_model
from vsr.upscale.upscaler import Upscaler

FAST = find_model("fast-x2")


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({"fp32": 0.020, "int8": 0.010}, "int8"),
        ({"int8": 0.010, "fp32": 0.0105}, "fp32"),  # No more than measurements differ.
        ({"int8": 0.051, "bf16": 0.043, "fp32": 0.2}, "bf16"),  # As a processor with AMX has them.
        ({"int8": 0.030, "bf16": 0.043, "fp32": 0.2}, "int8"),
        ({"bf16": 0.1, "fp32": 0.08}, "fp32"),
        ({"fp32": 0.1}, "fp32"),
    ],
)
def test_what_is_less_exact_must_be_faster(seconds: Mapping[Precision, float], best: str) -> None:
    assert chosen(seconds) == best


@pytest.mark.parametrize(("each_s", "runs"), [(0.004, 6), (0.04, 3), (0.2, 2)])
def test_measuring_is_short(each_s: float, runs: int) -> None:
    """The first run of each does not count, and as many follow as the time holds, five at most."""
    ran: list[Precision] = []

    def run(name: Precision) -> float:
        ran.append(name)
        return each_s * (10 if ran.count(name) == 1 and each_s < 0.01 else 1) + (name == "int8") * 1e-6 * len(
            ran
        )

    found = best_of(run, ["fp32", "int8"], 0.3)
    assert ran.count("fp32") == ran.count("int8") == runs
    assert ran[:4] == ["fp32", "int8"] * 2
    assert found["fp32"] == pytest.approx(each_s)


class Pretended:
    """A backend whose engines double pictures. made: what was compiled. offset: what each precision adds to every code."""

    name, kinds, device, in_flight, batch = "pretended", ("cpu",), "cpu", 1, 1

    def __init__(self, version: str = "1", offset: Mapping[str, int] | None = None, fails: str = "") -> None:
        self.version, self.offset, self.fails = version, offset or {}, fails
        self.made = list[str]()

    def devices(self) -> dict[str, str]:
        return {}

    def on(self, device: str) -> Pretended:
        return self

    def probe(self) -> Availability:
        return Availability(True, "")

    def precisions(self, spec: ModelSpec) -> Sequence[Precision]:
        return ["int8", "fp32"]

    def facts(self) -> Mapping[str, object]:
        return {"version": self.version}

    def compile(
        self,
        spec: ModelSpec,
        layout: GraphLayout,
        plane_shapes: Mapping[str, tuple[int, ...]],
        options: CompileOptions = CompileOptions(),  # noqa: B008
    ) -> Engine:
        assert options.precision is not None
        if options.precision == self.fails:
            raise EngineBuildError("no")
        self.made.append(options.precision)
        offset = self.offset.get(options.precision, 0)

        class Doubled(Engine):
            def run(self, inputs: Arrays) -> dict[str, NDArray[np.uint8]]:
                plane = inputs["y"].astype(np.uint8).repeat(2, 2).repeat(2, 3)
                return {"y_out": np.clip(plane.astype(int) + offset, 0, 255).astype(np.uint8)}

        return Doubled()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "vsr" / "measured"


def test_it_is_measured_once(kept: Path) -> None:
    backend = Pretended()
    precision, found = precision_for(FAST, backend)
    assert found
    assert precision == found.precision
    assert found.run_ms.keys() == {"int8", "fp32"}
    assert sorted(backend.made) == ["fp32", "int8"]
    assert precision_for(FAST, Pretended()) == (precision, None)
    assert measured_here([FAST, find_model("balanced-x2")], backend) == [found]
    pixel_s = seconds_a_pixel(FAST, backend)
    assert pixel_s == pytest.approx(found.run_ms[precision] / 1000 / 160**2)
    assert seconds_a_pixel(find_model("balanced-x2"), backend) is None
    assert precision_for(FAST, Pretended(version="2"))[1], "another version may be faster otherwise"
    assert precision_for(find_model("balanced-x2"), backend)[1]
    assert len(backend.made) == 4


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"model": "fast-x2", "precision": "fp3", "run_ms": {}}', "\0" * 64]
)
def test_a_damaged_file_is_measured_anew(kept: Path, damage: str) -> None:
    precision_for(FAST, Pretended())
    (path,) = kept.iterdir()
    path.write_text(damage)
    assert measured_here([FAST], Pretended()) == []
    assert precision_for(FAST, Pretended())[1]
    assert not precision_for(FAST, Pretended())[1]


def test_where_it_cannot_be_kept_it_is_not_measured(kept: Path) -> None:
    kept.parent.parent.joinpath("vsr").write_bytes(b"a file")
    backend = Pretended()
    assert precision_for(FAST, backend) == ("int8", None)
    assert backend.made == []


def test_a_precision_that_makes_another_picture_is_left_out(kept: Path) -> None:
    _, found = precision_for(FAST, Pretended(offset={"int8": 9}))
    assert found
    assert (found.precision, found.left_out, found.run_ms.keys()) == ("fp32", ("int8",), {"fp32"})
    _, found = precision_for(FAST, Pretended("2", offset={"int8": 2}))
    assert found
    assert not found.left_out


def test_what_does_not_compile_is_no_choice(kept: Path) -> None:
    assert precision_for(FAST, Pretended(fails="fp32")) == ("int8", None)


def test_a_network_runs_in_what_was_found(kept: Path) -> None:
    picture = np.zeros((16, 16), np.uint8)
    with Upscaler("fast-x2", backend="openvino") as upscaler:
        first = upscaler.wanted_precision
        upscaler.upscale(picture)
        assert upscaler.precision == first
        assert [note for note in upscaler.notes if "measured once for fast-x2" in note]
    (path,) = kept.iterdir()
    for other in ("int8", "fp32"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "precision": other}))
        with Upscaler("fast-x2", backend="openvino") as upscaler:
            upscaler.upscale(picture)
            assert (upscaler.precision, upscaler.notes) == (other, [])
        assert f"fast-x2: {other} (" in doctor._measured().detail
    with Upscaler("fast-x2", backend="openvino", precision="int8") as upscaler:
        upscaler.upscale(picture)
        assert upscaler.precision == "int8"


def test_what_has_but_one_precision_is_not_measured(kept: Path) -> None:
    with Upscaler("bicubic-x2", backend="openvino") as upscaler:
        assert upscaler.wanted_precision == "fp32"
    assert precision_for(FAST, load_backend("onnxruntime")) == (None, None)
    assert not kept.exists()
