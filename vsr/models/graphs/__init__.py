"""Frame graphs and model packages, as ONNX: what is computed around a network, and how both are written down."""
