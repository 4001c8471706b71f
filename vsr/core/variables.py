"""Secrets that an address names and does not hold."""

from __future__ import annotations

import os
import re
from pathlib import Path

from vsr.core import secrets
from vsr.core.errors import ConfigError, reason

_VARIABLE = re.compile(r"\$\{(file:)?([^{}]*)\}")


def expanded(text: str) -> str:
    """The text with `${NAME}` from the environment, and `${file:PATH}`: the first line of a file, as Docker, Kubernetes and
    systemd give secrets. They are inserted as they are: percent-encoded where the address wants that. They are hidden from then
    on.

    Raises ConfigError for one that is not there.
    """
    return _VARIABLE.sub(_value, text)


def _value(match: re.Match[str]) -> str:
    is_file, name = match[1], match[2]
    if is_file:
        try:
            value = Path(name).read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{match[0]}: {reason(error).lower()}",
                hint="name a file that holds the secret in its first line",
            ) from None
    elif name in os.environ:
        value = os.environ[name]
    else:
        raise ConfigError(
            f"{match[0]}: the environment has no {name or 'variable without a name'}",
            hint="set it, or write ${file:PATH} for the first line of a file",
        )
    secrets.remember(value)
    return value
