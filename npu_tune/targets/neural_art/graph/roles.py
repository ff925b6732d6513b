"""Roles of dimensions: which dimension of a tensor is channels, rows, columns or batch.

The accelerator stores feature maps channels last in any case, so a transposition that only
changes the file's layout moves no data. A tensor's *roles* are one letter per dimension: ``C``,
``H``, ``W``, ``N`` (the batch, counted as rows), or "" for a dimension of size one, which may play
any role.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Shape = tuple[int, ...]
Roles = tuple[str, ...]

_CHANNELS_FIRST = {1: "C", 2: "NC", 3: "NCH", 4: "NCHW"}
_CHANNELS_LAST = {1: "C", 2: "NC", 3: "NHC", 4: "NHWC"}


def letters(rank: int, *, channels_last: bool) -> str | None:
    """The usual order of ``rank`` dimensions in a layout; None if there is none."""
    return (_CHANNELS_LAST if channels_last else _CHANNELS_FIRST).get(rank)


def roles_of(shape: Shape, order: Sequence[str]) -> Roles:
    """The roles of a tensor whose dimensions are in a given order."""
    return tuple(role if size != 1 else "" for role, size in zip(order, shape, strict=True))


def are_compatible(have: Roles, want: Roles) -> bool:
    """Tells whether data with some roles can be read as data with others."""
    return len(have) == len(want) and all(
        one == other for one, other in zip(have, want, strict=True) if one and other
    )


def sizes_of(shape: Shape, roles: Roles) -> tuple[int, int, int]:
    """(channels, rows, columns) of a tensor; the batch multiplies the rows."""

    def product(wanted: str) -> int:
        return math.prod(
            n for n, role in zip(shape, roles, strict=True) if role in wanted and role
        )

    return product("C"), product("NH"), product("W")


def guess_sizes(shape: Shape, *, channels_last: bool) -> tuple[int, int, int]:
    """(channels, rows, columns) of a tensor of unknown roles, by the layout of its format."""
    order = letters(len(shape), channels_last=channels_last)
    if order is not None:
        return sizes_of(shape, roles_of(shape, order))
    if not shape:
        return 1, 1, 1
    rest = shape[:-1] if channels_last else (shape[0], *shape[2:])
    return shape[-1 if channels_last else 1], math.prod(rest[:-1]), rest[-1]


def after_transpose(roles: Roles, permutation: Shape) -> Roles:
    """The roles after a transposition that moves no data."""
    return tuple(roles[axis] for axis in permutation)


def after_reshape(before: Shape, roles: Roles, after: Shape) -> Roles | None:
    """The roles after a reshape that adds or drops unit sizes; None after any other."""
    if [size for size in before if size != 1] != [size for size in after if size != 1]:
        return None
    kept = iter(role for role, size in zip(roles, before, strict=True) if size != 1)
    return tuple(next(kept) if size != 1 else "" for size in after)


def complete_roles(shape: Shape, roles: Roles) -> Roles | None:
    """Gives dimensions that are no longer of size one the unused roles; None if too few."""
    missing = [axis for axis, role in enumerate(roles) if not role and shape[axis] != 1]
    unused = [role for role in "CHWN" if role not in roles]
    if len(missing) > len(unused):
        return None
    result = list(roles)
    for axis, role in zip(missing, unused, strict=False):
        result[axis] = role
    return tuple(result)


def only_relabels(shape: Shape, roles: Roles | None, permutation: Shape) -> bool:
    """Tells whether a transposition only switches between channels-first and channels-last.

    Then no data moves, as the accelerator has one layout. Without roles, a transposition that
    moves the first of up to three dimensions behind the others, or back, counts as one of these.
    """
    kept = [axis for axis in permutation if shape[axis] != 1]
    if kept == sorted(kept):
        return True
    if roles is not None and all(roles[axis] for axis in kept):
        found = "".join(roles[axis] for axis in kept)
        return any(
            found == "".join(role for role in order if role in found)
            for order in (*_CHANNELS_FIRST.values(), *_CHANNELS_LAST.values())
            if set(found) <= set(order)
        )
    turned = sorted(kept)
    return len(kept) <= 3 and kept in (turned[1:] + turned[:1], turned[-1:] + turned[:-1])


def merge_roles(shape: Shape, given: Sequence[tuple[Shape, Roles | None]]) -> Roles | None:
    """Merges the roles of the inputs of an element-wise operation into those of its result.

    Args:
        shape: of the result.
        given: shape and roles of each input; earlier ones take precedence.

    Returns:
        None if a dimension stays without a role, or two get the same one.
    """
    result = [""] * len(shape)
    for other, roles in given:
        offset = len(shape) - len(other)
        for axis, role in enumerate(roles or ()):
            result[offset + axis] = result[offset + axis] or role
    settled = all(role or size == 1 for role, size in zip(result, shape, strict=True))
    named = [role for role in result if role]
    return tuple(result) if settled and len(named) == len(set(named)) else None
