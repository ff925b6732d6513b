"""Layer groups by hand: what the vendor's search for groups must not choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

from mlir_text import NO_WORK, Operator, known_name

FORBIDDEN = 10**9
"""The cost by which the vendor's search leaves a group alone."""

VENDOR, JOIN, CUT = "vendor", "join", "cut"


def execution_order(operators: Sequence[Operator]) -> dict[str, list[Operator]]:
    """The operators that the vendor numbers for its groups, by function, in its order.

    Args:
        operators: of the MLIR file after the network was divided and sorted, before it is grouped.
    """
    found: dict[str, list[Operator]] = {}
    for each in operators:
        if each.function.startswith("subfunc_") and each.kind not in NO_WORK:
            found.setdefault(each.function, []).append(each)
    return found


def forbidden_groups(
    order: Sequence[Operator], choices: Mapping[str, str], *, subfunction: int = 0
) -> list[dict[str, int]]:
    """Groups that break a choice, as entries of the vendor's ManualSetting.

    Args:
        order: operators of one function as they are executed.
        choices: ``cut`` or ``join`` by name of an operator: whether a group ends behind it, or
            goes on up to the next operator with a name of its own.
        subfunction: its number.
    """
    ends, inside = boundaries(order, choices)
    return [
        {
            "subfunc_idx": subfunction,
            "func_start_idx": first,
            "func_end_idx": last,
            "group_cost": FORBIDDEN,
        }
        for first in range(len(order))
        for last in range(first, len(order))
        if last in inside or first - 1 in inside or any(first <= end < last for end in ends)
    ]


def boundaries(order: Sequence[Operator], choices: Mapping[str, str]) -> tuple[set[int], set[int]]:
    """Behind which operators, by number, a group has to end, and behind which it must not."""
    names = [known_name(each, choices) for each in order]
    last = {name: number for number, name in enumerate(names) if name}
    ends = {number for name, number in last.items() if choices[name] == CUT}
    inside = set()
    end = len(order) - 1  # behind which there is nothing to choose
    for name, number in last.items():
        if choices[name] == JOIN:
            inside.add(number)
            inside.update(takewhile(lambda n: order[n].kind == "tpu.Cast", range(number + 1, end)))
    return ends - {end}, inside - {end}
