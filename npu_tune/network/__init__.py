"""Networks: what a model file says, free of any framework's objects."""

from npu_tune.network.model import Layer, Network, Quantization, Tensor, printable_names

__all__ = ["Layer", "Network", "Quantization", "Tensor", "printable_names"]
