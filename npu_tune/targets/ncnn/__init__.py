"""Measured on this machine through ncnn, on its CPU or on a GPU with Vulkan."""
