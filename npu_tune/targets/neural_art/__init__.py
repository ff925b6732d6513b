"""A model of ST's Neural-ART accelerator: its compiler, its hardware and its memory."""

from npu_tune.targets.neural_art.family import NeuralArtFamily

__all__ = ["NeuralArtFamily"]
