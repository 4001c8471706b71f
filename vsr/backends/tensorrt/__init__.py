"""TensorRT and TensorRT-RTX: the backend, recipes, engines built from them, and where those are kept."""
