"""ONNX files: reading them into networks, and a mutable graph that passes rewrite."""
