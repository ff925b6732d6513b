"""Operations before fusing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from npu_tune.targets.neural_art.graph.model import Operation


class Trait(StrEnum):
    """What fusing has to know of an operation and later users have not."""

    AFFINE = "affine"
    """A factor or offset, one for all or one per channel, that a convolution can take up."""
    SCALAR = "scalar"
    """Arithmetic with one number: a function of one element."""
    OFFSET = "offset"
    """Adds something, so that a convolution that takes it up gets a bias."""
    ZERO_PAD = "zero-pad"
    """Rows and columns of zeros, as a convolution or pool can add them."""
    MEAN = "mean"
    """A mean over whole rows or columns."""


@dataclass(frozen=True)
class UnfusedOperation:
    """An operation, and what fusing has to know of it."""

    operation: Operation
    traits: frozenset[Trait] = frozenset()
