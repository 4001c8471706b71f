"""What executes a network, and the choice of it."""

from vsr.backends.base import Engine
from vsr.backends.choose import BACKENDS, choose_backend, probe_backends

__all__ = ["BACKENDS", "Engine", "choose_backend", "probe_backends"]
