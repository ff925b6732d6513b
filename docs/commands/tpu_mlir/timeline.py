"""The vendor's record of a compiled network: every instruction, its cycles and bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_INSTRUCTION = re.compile(r"\w+_(\d+)\|\w+\|s:(\d+)\|b:\d+\|g:\d+\|e:(\d+)\|t:\d+(\|\S*)?")
_BYTES = re.compile(r"\|sz:(\d+)")
_TOTAL = re.compile(r"^TCYC\s*:\s*(\d+)", re.MULTILINE)
_SUMMARY = re.compile(r"GDMA SUMMARY\s*:(.*)")
_MEMORY = re.compile(r"device mem size:\s*(\d+)")


@dataclass(frozen=True)
class Instruction:
    """One instruction of the processor or of its DMA.

    Args:
        line: of the final MLIR file that it was made from.
        start: its first cycle.
        end: the cycle after its last.
        size: bytes that it moves; 0 for computing.
    """

    line: int
    start: int
    end: int
    size: int


@dataclass(frozen=True)
class Record:
    """What was recorded of one core.

    Args:
        cycles: of the whole network.
        dma_bytes: that were moved from and to memory outside the chip, and inside either.
        instructions: in the order of the file.
    """

    cycles: int
    dma_bytes: int
    instructions: tuple[Instruction, ...]


def read_record(text: str) -> Record:
    """Reads a ``compiler_profile_N.txt``.

    Raises:
        ValueError: if it has no total.
    """
    totals = _TOTAL.findall(text)
    if not totals:
        raise ValueError("the compiler's profile has no line TCYC")
    moved = sum(int(n) for line in _SUMMARY.findall(text) for n in re.findall(r":(\d+)", line))
    found: list[Instruction] = []
    before = 0
    for part, total in zip(_TOTAL.split(text)[::2], [*totals, "0"], strict=True):
        found += (_instruction(match, before) for match in _INSTRUCTION.finditer(part))
        before += int(total)  # parts of a network that is divided run one after the other
    return Record(before, moved, tuple(found))


def _instruction(match: re.Match, before: int) -> Instruction:
    line, start, end, rest = match.groups()
    size = _BYTES.search(rest or "")
    return Instruction(
        line=int(line),
        start=int(start) + before,
        end=int(end) + 1 + before,
        size=int(size[1]) if size else 0,
    )


def read_memory(text: str) -> int:
    """Bytes of device memory: weights, instructions and feature maps, by ``model_tool --info``.

    Raises:
        ValueError: if it does not say.
    """
    match = _MEMORY.search(text)
    if match is None:
        raise ValueError("the model's description has no line 'device mem size'")
    return int(match[1])


def cycles_along(
    instructions: Sequence[Instruction], owner: Mapping[int, str], total: int
) -> dict[str, float]:
    """Cycles by owner along the timeline; together they are the whole.

    A cycle in which several instructions run is shared equally, and one in which none runs is
    counted to what comes next. Sums of instructions' own cycles would count what overlaps twice.

    Args:
        instructions: of one core.
        owner: by line of the final MLIR file; what has none is left out, with its cycles.
        total: of the network.
    """
    events = sorted(
        [(each.start, 1, i) for i, each in enumerate(instructions)]
        + [(each.end, 0, i) for i, each in enumerate(instructions)]
    )
    shares: dict[int, float] = {}
    active: set[int] = set()
    now = 0
    for at, begins, index in events:
        time = min(at, total)
        if time > now:
            for each in active or {index}:
                line = instructions[each].line
                shares[line] = shares.get(line, 0.0) + (time - now) / max(len(active), 1)
            now = time
        if begins:
            active.add(index)
        else:
            active.discard(index)
    return _by_owner(shares, owner)


def bytes_of(instructions: Sequence[Instruction], owner: Mapping[int, str]) -> dict[str, float]:
    """Bytes that DMA moves, by owner."""
    moved: dict[int, float] = {}
    for each in instructions:
        moved[each.line] = moved.get(each.line, 0.0) + each.size
    return _by_owner(moved, owner)


def _by_owner(values: Mapping[int, float], owner: Mapping[int, str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for line, value in values.items():
        if line in owner:
            found[owner[line]] = found.get(owner[line], 0.0) + value
    return found
