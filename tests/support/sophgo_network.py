"""A small float network with what TPU-MLIR joins, divides and groups."""

from __future__ import annotations

from small_networks import network_of

from npu_tune.network import Network


def two_branches() -> Network:
    """A convolution with its activation, two branches that are added, and a classifier."""
    return network_of(
        """
            first = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w1, b1)
            active = Relu (first)
            left = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (active, w2, b2)
            sum = Add (active, left)
            pooled = GlobalAveragePool (sum)
            flat = Flatten (pooled)
            logits = Gemm <transB = 1> (flat, w3, b3)
            y = Softmax (logits)
        """,
        {
            "w1": (8, 3, 3, 3),
            "b1": (8,),
            "w2": (8, 8, 3, 3),
            "b2": (8,),
            "w3": (4, 8),
            "b3": (4,),
        },
        inputs="float[1, 3, 8, 8] x",
    )
