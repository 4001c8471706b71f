"""torch as a backend: ONNX operators, CUDA graphs, and kernels of our own."""
