"""What a conversion hands over: the int8 file, and where each of the source's tensors is in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from npu_tune.network.quantize.accuracy import ConversionCheck
from npu_tune.network.quantize.layout import Permutation


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A run-time tensor of the ONNX file that the int8 file has too.

    Args:
        source: its name in the ONNX file.
        stored: its name in the TFLite file.
        permutation: the ONNX dimension of each TFLite dimension.
        factors: what each slice along ONNX's second dimension is multiplied by; None for one.
    """

    source: str
    stored: str
    permutation: Permutation
    factors: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Conversion:
    """An int8 TFLite file, and how its tensors belong to those of the ONNX file.

    Args:
        model_bytes: content of the TFLite file.
        inputs: in the file's order.
        outputs: in the file's order.
        tensors: every run-time tensor of the ONNX file that the TFLite file has too.
        check: how the two compare; None if that was not asked for.
    """

    model_bytes: bytes = field(repr=False)
    inputs: tuple[StoredTensor, ...]
    outputs: tuple[StoredTensor, ...]
    tensors: tuple[StoredTensor, ...] = field(repr=False)
    check: ConversionCheck | None = None
