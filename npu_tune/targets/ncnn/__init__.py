"""Measured on this machine through ncnn, on its CPU or on a GPU with Vulkan."""

from npu_tune.targets.ncnn.family import NcnnFamily, NcnnGpuTarget, NcnnTarget

__all__ = ["NcnnFamily", "NcnnGpuTarget", "NcnnTarget"]
