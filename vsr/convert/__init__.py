"""Packages in and out: from trained weights to frame graphs that every backend reads.

Importing it raises MissingDependencyError where a package of the extra `onnx` is missing.
"""

from importlib.util import find_spec

from vsr.core.errors import MissingDependencyError
from vsr.core.extras import install

for _name in ("onnx", "onnxruntime", "safetensors"):
    if find_spec(_name) is None:
        raise MissingDependencyError(f"making model packages needs {_name}", hint=install("onnx"))
