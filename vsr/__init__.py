"""Video super-resolution. `import vsr` is cheap: each name is loaded when it is first used."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vsr.core.version import __version__ as __version__

# ONNX Runtime and Ray collect usage data unless these are set before they are loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

if TYPE_CHECKING:
    from vsr.api import *  # noqa: F403
else:  # Hidden from type checkers, which would take any name for an existing one.

    def __getattr__(name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        api = import_module("vsr.api")
        if name not in api.__all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(api, name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *import_module("vsr.api").__all__})
