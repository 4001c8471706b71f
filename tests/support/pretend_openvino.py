"""OpenVINO's core with GPUs and an NPU that are pretended: it is the real one, and the processor computes for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from vsr.backends import openvino_runtime

_CAN = {"GPU": ["FP32", "BIN", "FP16", "INT8"], "NPU": ["FP16", "INT8"]}
TWO_GPUS = ("CPU", "GPU.0", "GPU.1", "NPU")


class PretendedCore:
    """compiled: the device of each compilation and its settings. refuses: what compiling on other devices than the processor
    fails with.."""

    def __init__(self, devices: Sequence[str], refuses: str = "") -> None:
        self.available_devices = list(devices)
        self.refuses = refuses
        self.compiled: list[tuple[str, dict[str, Any]]] = []
        self._core = openvino_runtime.core()

    def _check(self, device: str) -> None:
        # OpenVINO also takes the name without a number for the first, and "GPU.0" for the only one.
        there = {*self.available_devices, *(name.partition(".")[0] for name in self.available_devices)}
        assert device in there or device.removesuffix(".0") in there

    def get_property(self, device: str, name: str) -> Any:
        self._check(device)
        if device == "CPU":
            return self._core.get_property(device, name)
        kind = device.partition(".")[0]
        return {"FULL_DEVICE_NAME": f"Pretended {device}", "OPTIMIZATION_CAPABILITIES": _CAN[kind]}[name]

    def read_model(self, model: Any) -> Any:
        return self._core.read_model(model)

    def import_model(self, graph: bytes, device: str, config: dict[str, Any]) -> Any:
        raise RuntimeError("nothing is kept")

    def compile_model(self, model: Any, device: str, config: dict[str, Any]) -> Any:
        self.compiled.append((device, config))
        if device == "CPU":
            return self._core.compile_model(model, "CPU", config)
        self._check(device)
        if self.refuses:
            raise RuntimeError(f"Exception from src/plugins:\n{self.refuses}")
        return self._core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def pretend(
    monkeypatch: pytest.MonkeyPatch, devices: Sequence[str] = TWO_GPUS, refuses: str = ""
) -> PretendedCore:
    """These devices are here, by OpenVINO's names."""
    core = PretendedCore(devices, refuses)
    monkeypatch.setattr(openvino_runtime, "core", lambda: core)
    return core
