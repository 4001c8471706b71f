"""What executes a network, and the choice of it."""

from vsr.backends.base import Backend, Engine, Tensors
from vsr.backends.choose import BACKENDS, choose_backend, probe_backends

__all__ = ["BACKENDS", "Backend", "Engine", "Tensors", "choose_backend", "probe_backends"]
