"""npu-tune: tunes how a neural network is compiled for an edge accelerator."""

__version__ = "0.1.0"
