"""`--device`: one grammar, what is here, and devices that no test has run on, which are pretended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vsr
from tests.support.pretend_openvino import pretend
from vsr.backends.choose import choose_backend, devices_here, has_nvidia_gpu
from vsr.backends.devices import full_name, parse_device
from vsr.cli import main
from vsr.core.errors import ConfigError, EngineBuildError, MissingDependencyError, VsrError
from vsr.machine.tuned import Tuned, keep
from vsr.media.samples import CLIP
from vsr.models import find_model
from vsr.upscale.upscaler import Upscaler

PICTURE = np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8)
no_gpu = pytest.mark.skipif(has_nvidia_gpu(), reason="there is a GPU")


def picked(name: str, device: str) -> tuple[str, str]:
    backend, notes = choose_backend(name, device)
    assert notes == []
    return backend.name, backend.device


@pytest.mark.parametrize(
    ("name", "kind", "number", "full"),
    [
        ("auto", "auto", None, "auto"),
        ("cpu", "cpu", None, "cpu"),
        ("npu", "npu", None, "npu"),
        ("gpu", "gpu", None, "gpu:0"),
        ("gpu:3", "gpu", 3, "gpu:3"),
        ("cuda", "cuda", None, "cuda:0"),
        ("cuda:01", "cuda", 1, "cuda:1"),
    ],
)
def test_names_of_devices(name: str, kind: str, number: int | None, full: str) -> None:
    assert parse_device(name) == (kind, number)
    assert full_name(name) == full


@pytest.mark.parametrize(
    "name", ["", "GPU", "gpu:", "gpu:-1", "gpu:x", "gpu.1", "cpu:0", "npu:0", "auto:1", "cuda:1:2", "mps"]
)
def test_other_names_are_refused_with_the_grammar(name: str) -> None:
    with pytest.raises(ConfigError) as raised:
        vsr.NetworkOptions(device=name)
    assert raised.value.hint == "choose auto, cpu, gpu[:N], cuda[:N] or npu"


@pytest.mark.parametrize("command", ["upscale", "bench", "evaluate", "stream", "verify"])
def test_every_command_refuses_them_so(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {
        "upscale": f"upscale {CLIP} {tmp_path}/out.mp4",
        "bench": "bench",
        "evaluate": f"evaluate --data {CLIP.parent}",
        "stream": "stream testsrc:64x48@25 null",
        "verify": f"engine verify ab --store {tmp_path}",
    }[command]
    assert main([*words.split(), "--device", "gpu.1"]) == 2
    said = capsys.readouterr().err
    assert "there is no device 'gpu.1'" in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


@no_gpu
def test_the_processor_is_what_is_here_and_what_auto_takes() -> None:
    (device, seen_by), *others = devices_here().items()
    assert (device, others) == ("cpu", [])
    assert {"openvino", "onnxruntime"} <= seen_by.keys()
    assert picked("auto", "auto") == picked("auto", "cpu") == ("openvino", "cpu")
    assert picked("onnxruntime", "cpu") == ("onnxruntime", "cpu")


@no_gpu
@pytest.mark.parametrize(
    ("backend", "device", "error", "said"),
    [
        ("onnxruntime", "gpu", ConfigError, "onnxruntime runs on cpu, not on gpu:0"),
        ("tensorrt", "cpu", ConfigError, "tensorrt runs on cuda, not on cpu"),
        ("openvino", "cuda", ConfigError, "openvino runs on cpu or gpu or npu, not on cuda:0"),
        ("openvino", "gpu:3", MissingDependencyError, "backend openvino: it sees no gpu:3"),
        ("torch", "cuda:1", MissingDependencyError, "backend torch: it sees no cuda:1"),
        ("auto", "gpu:3", MissingDependencyError, "gpu:3 cannot be used here: openvino not used: it sees no gpu:3"),
        ("auto", "cuda", MissingDependencyError, "cuda:0 cannot be used here: there is no NVIDIA driver"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_that_names_what_is_here(
    backend: str, device: str, error: type[VsrError], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "torch" in said:
        pytest.importorskip("torch")
    pretend(monkeypatch, ("CPU", "GPU"))
    with pytest.raises(error) as raised:
        choose_backend(backend, device)
    assert said in raised.value.message
    here = "cpu" if backend == "torch" else "gpu:0 (Pretended GPU)"
    assert here in str(raised.value.hint)
    assert "\n" not in str(raised.value)


@no_gpu
def test_with_a_driver_the_hint_is_how_to_get_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsr.backends.choose.has_nvidia_gpu", lambda: True)
    monkeypatch.setattr("vsr.backends.torch.backend._NEEDED", ("no_such_package",))
    with pytest.raises(
        MissingDependencyError, match="torch not used: no_such_package not installed"
    ) as raised:
        choose_backend("auto", "cuda")
    assert raised.value.hint == "pip install no_such_package"


@no_gpu
def test_each_device_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    core = pretend(monkeypatch)
    assert [device for device, seen_by in devices_here().items() if "openvino" in seen_by] == [
        "cpu",
        "gpu:0",
        "gpu:1",
        "npu",
    ]
    for device, own in (("gpu", "GPU.0"), ("gpu:1", "GPU.1"), ("npu", "NPU"), ("cpu", "CPU")):
        core.compiled.clear()
        with Upscaler("fast", device=device, threads=1, precision=None) as upscaler:
            upscaler.upscale(PICTURE)
            assert upscaler.device == full_name(device)
        used, settings = core.compiled[0]
        assert used == own
        assert settings["INFERENCE_PRECISION_HINT"] == ("f32" if own == "CPU" else "f16")
        assert ("INFERENCE_NUM_THREADS" in settings) == (own == "CPU")
    with Upscaler("bicubic", device="npu") as upscaler, pytest.raises(ConfigError, match="needs fp32"):
        upscaler.upscale(PICTURE)


@no_gpu
def test_the_only_gpu_goes_by_either_name(monkeypatch: pytest.MonkeyPatch) -> None:
    core = pretend(monkeypatch, ("CPU", "GPU", "NPU.4000"))
    assert picked("auto", "gpu") == picked("openvino", "gpu:0") == ("openvino", "gpu:0")
    assert picked("auto", "npu") == ("openvino", "npu")
    with Upscaler("fast", device="gpu") as upscaler:
        upscaler.upscale(PICTURE)
    assert core.compiled[0][0] == "GPU.0"


@no_gpu
def test_reports_name_the_device(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch)
    report = tmp_path / "report.json"
    words = ["upscale", str(CLIP), "null:", "--duration", "0.2", "--device", "gpu:1", "--model", "fast"]
    assert main([*words, "--report", str(report)]) == 0
    assert "fast-x2 on openvino, gpu:1" in capsys.readouterr().out
    assert json.loads(report.read_text())["reports"][0]["device"] == "gpu:1"
    assert main(["doctor"]) == 0
    assert "device gpu:1" in (said := capsys.readouterr().out)
    assert "Pretended GPU.1: openvino, which no test of vsr has run on" in said


@no_gpu
def test_without_measuring_auto_leaves_them_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    assert picked("auto", "auto") == picked("openvino", "auto") == ("openvino", "cpu")


@no_gpu
def test_where_measuring_says_so_they_are_taken_and_left_aloud_where_they_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    spec = find_model("fast")
    keep(spec, Tuned(in_flight=2, backend="openvino", device="gpu:1", package=spec.numbers_hash))
    with Upscaler("fast") as upscaler:
        expected = upscaler.upscale(PICTURE)
        assert "gpu:1 not used: it sees no gpu:1" in upscaler.notes
        assert upscaler.tuned == Tuned(), "it holds for another device"
    core = pretend(monkeypatch)
    with Upscaler("fast") as upscaler:
        upscaler.upscale(PICTURE)
        assert (upscaler.device, upscaler.precision, upscaler.in_flight) == ("gpu:1", "fp16", 2)
        assert str(upscaler.tuned) == "on gpu:1, in flight 2"
        assert not [note for note in upscaler.notes if "not used" in note]
    for named in ({"device": "cpu"}, {"backend": "openvino"}):
        with Upscaler("fast", **named) as upscaler:
            assert upscaler.device == "cpu", "what is named counts more"
    core.refuses = "no kernel for this"
    with Upscaler("fast") as upscaler:
        for _ in range(2):
            np.testing.assert_array_equal(upscaler.upscale(PICTURE), expected)
        upscaler.upscale(PICTURE[:32])
        assert upscaler.device == "cpu"
        (note,) = [note for note in upscaler.notes if "not used" in note]
    assert note == "gpu:1 not used: OpenVINO cannot compile fast-x2 (gray8) for gpu:1: no kernel for this"


class _Dark:
    """An engine of a device that makes another picture."""

    def __init__(self, engine: Any) -> None:
        self._engine, self.precision = engine, engine.precision

    def run(self, inputs: Any) -> dict[str, np.ndarray]:
        return {name: plane // 2 for name, plane in self._engine.run(inputs).items()}

    def close(self) -> None:
        self._engine.close()


@no_gpu
def test_another_picture_than_that_of_float32_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    backend, notes = choose_backend("auto", "auto", measured="npu")
    first: Any = backend._first  # type: ignore[attr-defined]
    compiled = first.compile
    monkeypatch.setattr(first, "compile", lambda *given: _Dark(compiled(*given)))
    monkeypatch.setattr("vsr.upscale.upscaler.choose_backend", lambda *_asked: (backend, notes))
    with Upscaler("fast") as upscaler:
        found = upscaler.upscale(PICTURE)
        assert (upscaler.device, upscaler.precision in ("fp32", "bf16", "int8")) == ("cpu", True)
    with Upscaler("fast", device="cpu") as upscaler:
        pass
    assert found.mean() > 100
    (note,) = [note for note in notes if "not used" in note]
    assert note.startswith("npu not used: fast-x2 in fp16 on npu is ")
    assert note.endswith(" dB from float32, under 50 dB")

    named, _ = choose_backend("auto", "npu")
    monkeypatch.setattr(named._first, "compile", lambda *given: _Dark(compiled(*given)))  # type: ignore[attr-defined]
    monkeypatch.setattr("vsr.upscale.upscaler.choose_backend", lambda *_asked: (named, []))
    with Upscaler("fast") as upscaler:
        for _ in range(2):
            with pytest.raises(EngineBuildError, match="under 50 dB"):
                upscaler.upscale(PICTURE)


def test_training_takes_the_same_names() -> None:
    torch = pytest.importorskip("torch")
    from vsr.training.step import pick_device

    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name, said in (
        ("npu", "training runs on cpu or cuda, not on npu"),
        ("cuda.1", "there is no device 'cuda.1'"),
        ("cuda:99", "torch sees no cuda:99, but "),
    ):
        with pytest.raises(ConfigError, match=said):
            pick_device(name)
