"""What an operation, or an epoch, demands of the hardware before placement."""

from __future__ import annotations

from typing import NamedTuple


class Demand(NamedTuple):
    """What an operation demands, in NPU cycles before the rule's factors and bytes per inference.

    Args:
        compute: cycles of the units.
        reads: number of times that the input is read.
        passes: number of times that it reads what an operation before it in the same epoch makes.
        scattered_in: elements of the input that one stream engine reads one by one.
        scattered_out: elements of the output that one stream engine writes one by one.
        stored: bytes of weights in flash.
        streamed: bytes of weights from flash while the operation runs, without preloading.
        preloaded: bytes from flash during the epoch before; 0 without preloading.
        late: with preloading, bytes from flash while the operation runs.
        buffer: bytes of RAM for preloaded weights.
        fetched: with preloading, bytes of weights read from RAM.
        resident: bytes of RAM for resident weights, from the start of the inference to its end.
        taken: bytes of resident weights read from RAM.
        partial: bytes of partial sums, written and read together.
        workspace: bytes of RAM of each block that is needed meanwhile: of partial sums and, where
            a window takes several rounds, of what one round adds to them.
        serial: bytes from flash that overlap with nothing (weights reloaded into tiles).
        serial_cycles: of writing tiles, while flash streams.
        energy: relative, of the units.
        macs: multiply-accumulates.
        accelerators: units used.
        decompressors: units used.
        parts: number of epochs.
    """

    compute: float
    reads: float = 1.0
    passes: float = 1.0
    scattered_in: float = 0.0
    scattered_out: float = 0.0
    stored: int = 0
    streamed: int = 0
    preloaded: int = 0
    late: int = 0
    buffer: int = 0
    fetched: int = 0
    resident: int = 0
    taken: int = 0
    partial: int = 0
    workspace: tuple[int, ...] = ()
    serial: int = 0
    serial_cycles: float = 0.0
    energy: float = 0.0
    macs: int = 0
    accelerators: int = 0
    decompressors: int = 0
    parts: int = 1
