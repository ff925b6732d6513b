"""Measured on this machine's CPU through onnxruntime: float32 or int8 for each layer."""

from npu_tune.targets.cpu_onnxruntime.family import OnnxRuntimeFamily, OnnxRuntimeTarget

__all__ = ["OnnxRuntimeFamily", "OnnxRuntimeTarget"]
