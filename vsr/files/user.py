"""Where a user's own files lie, as the XDG Base Directory Specification has it."""

from __future__ import annotations

import os
from pathlib import Path


def config_folder() -> Path:
    """vsr's folder for what the user chose, be it there or not."""
    return _folder("XDG_CONFIG_HOME", ".config")


def config_file() -> Path:
    """Where a user writes down the options that are always wanted, be it there or not: VSR_CONFIG, or one in vsr's folder."""
    chosen = os.environ.get("VSR_CONFIG")
    return Path(chosen).expanduser() if chosen else config_folder() / "config.toml"


def cache_folder() -> Path:
    """vsr's folder for what can be made again, be it there or not."""
    return _folder("XDG_CACHE_HOME", ".cache")


def _folder(variable: str, otherwise: str) -> Path:
    chosen = os.environ.get(variable, "")
    # A relative one is to be ignored, says the specification.
    base = Path(chosen) if chosen.startswith("/") else Path.home() / otherwise
    return base / "vsr"
