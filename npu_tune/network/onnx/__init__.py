"""ONNX files: a reader, and a mutable graph that importers and the quantizer rewrite."""
