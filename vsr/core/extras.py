"""The packages of the distribution's extras, and the hints that say how to install them."""

from __future__ import annotations

import re
from importlib import metadata

DISTRIBUTION = "vsr-video"
"""As it is called where packages come from; the name vsr is another project's there."""


def packages(extra: str) -> list[str]:
    """Names of the packages that an extra asks for; empty if vsr is not installed, but runs from a folder."""
    try:
        asked = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    return [re.split(r"[^\w.-]", each)[0] for each in asked if re.search(f"extra == ['\"]{extra}['\"]", each)]


def missing(extra: str) -> list[str]:
    """The packages of an extra that are not installed."""
    return [name for name in packages(extra) if not installed(name)]


def installed(name: str) -> bool:
    """Whether a distribution is installed."""
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def install(extra: str) -> str:
    """The pip command that installs the missing packages of an extra."""
    return f"pip install {' '.join(missing(extra)) or repr(f'{DISTRIBUTION}[{extra}]')}"
