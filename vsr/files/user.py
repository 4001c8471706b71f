"""The folders of a user's own files, by the system's rules: on Linux the XDG Base Directory Specification."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import PlatformDirs

_FOLDERS = PlatformDirs("vsr", appauthor=False)


def config_folder() -> Path:
    """vsr's folder for the user's choices, whether it exists or not."""
    return _FOLDERS.user_config_path


def config_file() -> Path:
    """The path of the user's file of default options, whether it exists or not: VSR_CONFIG, or config.toml in vsr's folder."""
    chosen = os.environ.get("VSR_CONFIG")
    return Path(chosen).expanduser() if chosen else config_folder() / "config.toml"


def data_folder() -> Path:
    """vsr's folder for the user's own data, whether it exists or not."""
    return _FOLDERS.user_data_path


def cache_folder() -> Path:
    """vsr's folder for data that can be made again, whether it exists or not."""
    return _FOLDERS.user_cache_path
