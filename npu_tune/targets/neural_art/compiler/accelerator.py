"""Cycles of the units, as the vendor's compiler estimates them for each kind of operation.

The rates were read off the vendor compiler's own estimates of MobileNetV2 0.5 (ST Edge AI Core
3.0.0; 55 hardware epochs) and of single matrix products (Core 2.1.0); shapes they do not cover
follow the same rules by extrapolation. The rules:

- A chain of accelerators writes one output element per cycle.
- A window of up to 3 x 3 takes 8 input channels (72 multiplications) per cycle; larger windows
  take several passes, each over a part of up to 3 x 3.
- A 1 x 1 convolution with at least 64 input channels per accelerator ("deep") multiplies 24
  channels with 3 kernels per cycle where the kernels come in threes, else with 2, else with 1.
  With fewer channels, a chain of accelerators takes one input element per cycle and
  accelerator for 16 kernels at a time.
- No chain of accelerators passes 144 multiplications per cycle, the highest rate in any report.
- Kernels are loaded at 3 bytes per cycle if an accelerator gets at least 64 input channels,
  else at 1.
- Depthwise: one output element per cycle, with a stride one input element per half cycle.
- Pools, arithmetic and activation units: one element per cycle; pools count what they read.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil

from npu_tune.targets.neural_art.graph import Operation, OperationKind

_WINDOW = 3
"""Rows, and columns, of a window that one pass covers."""
_WINDOW_CHANNELS = 8
_WINDOW_MACS = 72
_DEEP_FROM = 64
_DEEP_CHANNELS = 24
_SHALLOW_KERNELS = 16
_FAST_LOAD = 3
_CHAIN_MACS = 144


TABLE_CYCLES = 2
"""Cycles per element of an activation by table (swish, sigmoid, ...) behind a convolution: one for
the table and one for the product. The latencies published for EfficientNet at Core 4.0 agree with
about that."""


@dataclass(frozen=True, eq=False)
class Shape:
    """The sizes of an operation that its cycles depend on; compared by identity.

    Args:
        kind: of the operation.
        channels_in: input channels.
        channels_out: output channels.
        rows_out: rows of the output.
        pixels_out: rows x columns of the output.
        elements_in: of all inputs together.
        groups: of a convolution.
        taps: (rows, columns) of the window.
        stride: the larger one of rows and columns.
        weights: number of weights.
        rows_in: of the first input.
        input_bytes: of the first input.
        weight_bits: that the file spends on a weight.
        further_elements: of all outputs but the first.
    """

    kind: OperationKind
    channels_in: int
    channels_out: int
    rows_out: int
    pixels_out: int
    elements_in: int
    groups: int = 1
    taps: tuple[int, int] = (1, 1)
    stride: int = 1
    weights: int = 0
    rows_in: int = 1
    input_bytes: int = 0
    weight_bits: int = 8
    further_elements: int = 0

    @cached_property
    def is_depthwise(self) -> bool:
        return self.groups > 1 and self.groups == self.channels_in

    @cached_property
    def elements_out(self) -> int:
        return self.pixels_out * self.channels_out

    @cached_property
    def window_passes(self) -> int:
        """Parts of up to 3 x 3 that a convolution's window consists of."""
        return ceil(self.taps[0] / _WINDOW) * ceil(self.taps[1] / _WINDOW)

    @cached_property
    def rounds(self) -> int:
        """How often a convolution passes over its input, adding to partial sums in memory.

        A window whose taps, all input channels together, number no more than the multipliers of an
        accelerator is there at once; so are the windows of depthwise convolutions, which have one
        channel.
        """
        depth = self.channels_in // self.groups
        if self.kind is not OperationKind.CONVOLUTION:
            return 1
        at_once = self.is_depthwise or self.taps[0] * self.taps[1] * depth <= _WINDOW_MACS
        return 1 if at_once else self.window_passes


def table_cycles(operation: Operation, shape: Shape, streams: int) -> float:
    """Cycles of the function by table that is fused to an operation, on so many units."""
    return TABLE_CYCLES * shape.elements_out / streams if operation.activation == "lut" else 0.0


def unit_cycles(shape: Shape) -> float:
    """Cycles of an operation that is no convolution, on one unit of its kind."""
    if shape.kind is OperationKind.POOL:
        return float(shape.elements_in)
    if shape.kind in (OperationKind.ARITHMETIC, OperationKind.ACTIVATION):
        return float(shape.elements_out)
    return 0.0


@lru_cache(maxsize=1 << 16)
def convolution_cycles(
    shape: Shape,
    accelerators: int,
    over: str,
    macs_per_cycle: int = _WINDOW_MACS,
    *,
    stripes: int = 1,
    computed: float = 1.0,
) -> float:
    """Cycles of a convolution on the best number of accelerators up to a limit.

    More accelerators can be slower, where each gets few input channels; then some stay idle,
    which is what the vendor's reports show for pairs on 32 channels.

    Args:
        shape: of the convolution.
        accelerators: largest number that may share it.
        over: the dimension that is split: ``input_channels`` (partial sums pass along a chain),
            ``kernels`` or ``stripes`` (every accelerator writes a part of the output).
        macs_per_cycle: of one accelerator; the rules above hold for 72 and are scaled.
        stripes: epochs, one after the other, that compute some of its rows; each loads the kernels.
        computed: rows that all of them compute / rows of the output.
    """
    slower = _WINDOW_MACS / macs_per_cycle * computed
    return min(
        max(cycles * slower, loading * stripes)
        for number in range(1, accelerators + 1)
        for cycles, loading in (_cycles_on(shape, number, over, stripes),)
    )


def _cycles_on(shape: Shape, accelerators: int, over: str, stripes: int) -> tuple[float, float]:
    """Cycles of computing and of loading kernels, if just so many accelerators share it."""
    depth = shape.channels_in / shape.groups
    kernels = float(shape.channels_out)
    pixels = float(shape.pixels_out)
    chained = 1
    elements_in = float(shape.elements_in)
    if over == "input_channels" and not shape.is_depthwise:
        depth, chained = depth / accelerators, accelerators
        elements_in /= accelerators
    elif over == "stripes":
        rows = ceil(shape.rows_out / stripes)
        pixels = shape.pixels_out * ceil(rows / accelerators) / rows
        elements_in /= accelerators
    else:
        kernels = ceil(kernels / accelerators)
    loaded = shape.weights / accelerators if over != "stripes" else shape.weights
    loading = loaded * chained / (_FAST_LOAD if depth >= _DEEP_FROM else 1)
    passes = shape.window_passes
    if shape.is_depthwise:
        cycles = pixels * kernels * passes * (2 if shape.stride > 1 else 1)
    elif shape.taps == (1, 1):
        cycles = _pointwise_cycles(depth, kernels, pixels, chained)
    else:
        steps = pixels * kernels * passes * ceil(depth / _WINDOW_CHANNELS)
        cycles = max(steps, elements_in)
    most = _CHAIN_MACS if chained > 1 else _WINDOW_MACS * accelerators
    cycles = max(cycles, pixels * kernels * depth * chained * shape.taps[0] * shape.taps[1] / most)
    return cycles, loading


def _pointwise_cycles(depth: float, kernels: float, pixels: float, chained: int) -> float:
    if depth >= _DEEP_FROM:
        together = 3 if kernels % 3 == 0 else 2 if kernels % 2 == 0 else 1
        return max(pixels * kernels, pixels * kernels * depth / (_DEEP_CHANNELS * together))
    if chained > 1:
        return max(pixels * kernels, pixels * depth * ceil(kernels / _SHALLOW_KERNELS))
    # Between 24 and 64 channels one accelerator still takes 48 multiplications per cycle.
    return max(pixels * kernels, pixels * kernels * depth / (2 * _DEEP_CHANNELS))
