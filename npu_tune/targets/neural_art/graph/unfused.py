"""Operations as imported, before they are fused."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from npu_tune.targets.neural_art.graph.model import Operation


class Trait(StrEnum):
    """A property of an operation that only fusing needs."""

    AFFINE = "affine"
    """A factor or offset, per tensor or per channel, that folds into a convolution."""
    SCALAR = "scalar"
    """Arithmetic with one number, that is a function of one element."""
    OFFSET = "offset"
    """Has an offset, so that a convolution it is folded into gets a bias."""
    ZERO_PAD = "zero-pad"
    """Adds rows and columns of zeros, as the padding of a convolution or pool does."""
    MEAN = "mean"
    """A mean over whole rows or columns."""


@dataclass(frozen=True)
class UnfusedOperation:
    """An operation with the properties that fusing needs."""

    operation: Operation
    traits: frozenset[Trait] = frozenset()
