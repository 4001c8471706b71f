"""TensorRT and TensorRT-RTX: recipes, engines built from them, and where those are kept."""
