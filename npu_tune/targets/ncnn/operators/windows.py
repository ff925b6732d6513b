"""Strides, dilations and paddings of operators that slide a window."""

from __future__ import annotations

from dataclasses import dataclass

from npu_tune.network.onnx.graph import OnnxNode
from npu_tune.targets.ncnn.translator import Translator


@dataclass(frozen=True)
class SlidingWindow:
    """A window over the two last dimensions: height first.

    Args:
        kernel: its sizes.
        strides: between its places.
        dilations: between its elements.
        before: padding at the top and at the left.
        behind: padding at the bottom and at the right.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    before: tuple[int, int]
    behind: tuple[int, int]

    @property
    def is_plain(self) -> bool:
        """True where it goes step by step."""
        return self.strides == self.dilations == (1, 1)


def read_window(translator: Translator, node: OnnxNode, kernel: tuple[int, ...]) -> SlidingWindow:
    """The window of a node over (c, h, w), or over (c, w), which counts as a height of one."""
    rank = len(kernel)
    shape = translator.graph.shapes[node.inputs[0]]
    if rank not in (1, 2) or len(shape) != rank + 2 or shape[0] != 1:
        translator.refuse(node, f"its input has the shape {shape}")
    strides = node.ints("strides", (1,) * rank)
    dilations = node.ints("dilations", (1,) * rank)
    auto = _text(node.attributes.get("auto_pad", "NOTSET"))
    if auto in ("NOTSET", "VALID"):
        pads = node.ints("pads", (0,) * 2 * rank) if auto == "NOTSET" else (0,) * 2 * rank
        before, behind = pads[:rank], pads[rank:]
    else:
        sizes = shape[2:], kernel, strides, dilations
        needed = [_same(*each) for each in zip(*sizes, strict=True)]
        less, more = tuple(n // 2 for n in needed), tuple(n - n // 2 for n in needed)
        before, behind = (less, more) if auto == "SAME_UPPER" else (more, less)
    return SlidingWindow(
        _two(kernel, 1), _two(strides, 1), _two(dilations, 1), _two(before, 0), _two(behind, 0)
    )


def _same(size: int, kernel: int, stride: int, dilation: int) -> int:
    """The padding with which there are as many places as steps in the input."""
    places = -(-size // stride)
    return max((places - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)


def _two(values: tuple[int, ...], first: int) -> tuple[int, int]:
    both = values if len(values) == 2 else (first, *values)
    return both[0], both[1]


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
