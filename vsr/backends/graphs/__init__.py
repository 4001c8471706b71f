"""Rewriting ONNX graphs: precisions, int8 and fp8."""
