"""What a network is: its spec, where packages lie, and what is inside one."""

from vsr.models.registry import find_model, shipped_models
from vsr.models.spec import GraphLayout, ModelSpec, Precision

__all__ = ["GraphLayout", "ModelSpec", "Precision", "find_model", "shipped_models"]
