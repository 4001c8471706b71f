"""What loading OpenVINO brings with it."""

from __future__ import annotations

import subprocess
import sys


def test_its_converter_and_telemetry_are_loaded_by_whoever_asks_for_them() -> None:
    script = """
import sys
from vsr.backends.openvino import BACKEND
assert BACKEND.probe().usable
assert not [name for name in sys.modules if name.startswith(("openvino.tools.ovc", "openvino_telemetry"))]
import openvino
try:
    openvino.convert_model("/nowhere.onnx")
except Exception as error:
    print(type(error).__module__)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("openvino.tools.ovc"), done.stdout + done.stderr
