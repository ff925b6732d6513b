"""Lets Vela read numbers out of arrays with one element, as NumPy did before 2.4.

Vela 5.2.0 writes ``int(values)`` where a constant has one element, whatever its number of
dimensions: the axis of a SPLIT, the one that a grouped convolution makes, of a MEAN and others.
NumPy 1.25 deprecated that, and 2.4 raises TypeError.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from ethosu.vela.tensor import Tensor


class OneElementArray(np.ndarray[Any, Any]):
    """An array that is a number where it has one element; what is made of it is one, too."""

    def __int__(self) -> int:
        return int(self.item()) if self.size == 1 else super().__int__()

    def __float__(self) -> float:
        return float(self.item()) if self.size == 1 else super().__float__()


@contextmanager
def one_element_arrays_are_numbers() -> Iterator[None]:
    """Gives every constant of one element that form on its way into one of Vela's tensors.

    All of Vela's constants go that way, those of the file and those that Vela makes.
    """
    slot = Tensor.values

    def write(tensor: Any, values: Any) -> None:
        if type(values) is np.ndarray and values.size == 1 and values.ndim:
            values = values.view(OneElementArray)
        slot.__set__(tensor, values)

    Tensor.values = property(slot.__get__, write)
    try:
        yield
    finally:
        Tensor.values = slot
