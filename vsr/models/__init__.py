"""Networks: their specs, the folders of their packages, and the files inside a package."""

from vsr.models.registry import find_model, shipped_models
from vsr.models.spec import GraphLayout, ModelSpec, Precision

__all__ = ["GraphLayout", "ModelSpec", "Precision", "find_model", "shipped_models"]
