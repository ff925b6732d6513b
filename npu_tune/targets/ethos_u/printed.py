"""What Vela's C++ core prints: its schedule, and where operators run."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from npu_tune.targets.ethos_u.plan import Block


@dataclass(frozen=True, slots=True)
class PrintedOperator:
    """One operator of the schedule that the C++ core prints.

    Args:
        shape: height, width and depth of the OFM.
        block: its OFM block; None where it prints none.
        stripe_height: rows of the OFM per stripe.
        cascade: the number of its cascade; 0 where it is in none.
        slices: boundaries of its weight slices in output channels.
        buffering: ``Single``, ``Double`` or "".
        traversal: ``PartKernel``, ``DepthFirst`` or another; "" where it prints none.
    """

    shape: Block
    block: Block | None = None
    stripe_height: int = 0
    cascade: int = 0
    slices: tuple[int, ...] = ()
    buffering: str = ""
    traversal: str = ""

    @property
    def elements(self) -> int:
        """Of the OFM."""
        return math.prod(self.shape)


def parse_operators(printed: str) -> tuple[int, tuple[str, ...]]:
    """Reads what ``--show-cpu-operations`` prints.

    Returns:
        how many operators run on the NPU, and those that stay on the CPU as ``type name``. The
        type is the compiler's own, which is ``Passthrough`` for most of what it leaves alone.
    """
    npu = re.search(r"^NPU operators = (\d+)", printed, re.MULTILINE)
    cpu = re.findall(r"^ +CPU: (.+?)(?: \(outputs .*)?$", printed, re.MULTILINE)
    return int(npu[1]) if npu else 0, tuple(text.replace(" = ", " ", 1) for text in cpu)


def parse_schedule(printed: str) -> tuple[PrintedOperator, ...]:
    """Reads the first schedule out of what ``--verbose-schedule`` prints."""
    operators: list[PrintedOperator] = []
    started = False
    for line in printed.splitlines():
        if line.startswith("Schedule:"):
            if started:
                break
            started = True
            continue
        if not started:
            continue
        found = re.match(r"\s+\d+: Operation \S+\s+- OFM ([\d, ]+)", line)
        if found:
            operators.append(PrintedOperator(_last_three(found[1])))
        elif operators:
            operators[-1] = _with_line(operators[-1], line.strip())
    return tuple(operators)


def _with_line(operator: PrintedOperator, line: str) -> PrintedOperator:
    if found := re.match(r"Operator Config = OFM Block=\[([\d, ]+)\]", line):
        traversal = re.search(r"Traversal=(\w+)", line)
        block = _last_three(found[1])
        return replace(operator, block=block, traversal=traversal[1] if traversal else "")
    if found := re.match(r"OFM Stripe\s+= \[([\d, ]+)\]", line):
        return replace(operator, stripe_height=_last_three(found[1])[0])
    if found := re.match(r"Assigned Cascade = (\d+)", line):
        return replace(operator, cascade=int(found[1]))
    if found := re.match(r"Weight buffer = .*\((\w+)\)", line):
        return replace(operator, buffering=found[1])
    if found := re.match(r"Depth slices = \[([\d, ]+)\]", line):
        return replace(operator, slices=tuple(int(n) for n in found[1].split(",")))
    return operator


def _last_three(text: str) -> Block:
    numbers = [1, 1, 1, *(int(n) for n in text.split(",") if n.strip())]
    return numbers[-3], numbers[-2], numbers[-1]
