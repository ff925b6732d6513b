"""Which changes of a configuration can be taken back, found by asking in groups and one by one.

As delta debugging does with the parts of a failing input: Zeller and Hildebrandt, "Simplifying and
Isolating Failure-Inducing Input", IEEE Transactions on Software Engineering 28 (2), 2002.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from npu_tune.errors import EvaluationError
from npu_tune.space import Configuration, SearchSpace
from npu_tune.tuning.trial import POLISH


@dataclass(frozen=True)
class Revert:
    """A configuration with some changes taken back.

    Args:
        configuration: what is left, as it is compiled.
        label: what was taken back, in words.
    """

    configuration: Configuration
    label: str

    @property
    def origin(self) -> str:
        """Of the trial that evaluates it."""
        return f"{POLISH}without {self.label}"


Polishing = Generator[Revert, bool, Configuration]
"""Asks about one revert after another, is sent whether it costs no more, returns what is left."""


def ask_reverts(start: Configuration, space: SearchSpace) -> Polishing:
    """Reverts all changes of a kind, of a layer, and then single ones until none is free.

    Args:
        start: an effective configuration.
        space: tells the default, and what reverting a change makes of others.
    """
    base = start
    changed = start.difference(space.default)
    for label, names in (*kinds_of_changes(changed), *layers_of_changes(changed)):
        base = (yield from _ask(base, names, label, space)) or base
    refused: dict[str, Configuration] = {}
    while names := [n for n in base.difference(space.default) if refused.get(n) != base]:
        base = yield from _sweep(base, names, refused, space)
    return base


def _sweep(
    base: Configuration,
    names: Sequence[str],
    refused: dict[str, Configuration],
    space: SearchSpace,
) -> Polishing:
    """Asks about single changes; where several in a row are free, about more and more at once."""
    place, width, free = 0, 1, 0
    while place < len(names):
        group = [n for n in names[place : place + width] if base[n] != space.default[n]]
        label = group[0] if len(group) == 1 else f"{len(group)} changes from {names[place]} on"
        left = (yield from _ask(base, group, label, space)) if group else base
        if left is None and width > 1:
            width, free = 1, 0
            continue
        if left is None:
            refused[names[place]] = base
        place += width
        free = 0 if left is None else free + 1
        width = 2 ** max(free - 1, 0)
        base = left or base
    return base


def _ask(
    base: Configuration, names: Collection[str], label: str, space: SearchSpace
) -> Generator[Revert, bool, Configuration | None]:
    """Asks about reverting some changes; returns what is left, None where that costs more."""
    default = space.default
    left = space.effective(base.replace({name: default[name] for name in names}))
    if len(left.difference(default)) >= len(base.difference(default)):
        return None
    try:
        space.check(left)
    except EvaluationError:
        return None
    return left if (yield Revert(left, label)) else None


def kinds_of_changes(names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """The changes of each kind that several layers have, with a label.

    Args:
        names: full names of the knobs that are changed.
    """
    for kind, members in _grouped(names, lambda name: name.rpartition("/")[2]):
        yield f"all {len(members)} changes of {kind}", members


def layers_of_changes(names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """The changes of each layer that has several, with a label; as :func:`kinds_of_changes`."""
    for layer, members in _grouped(names, lambda name: name.rpartition("/")[0]):
        yield f"all {len(members)} changes of {layer}", members


def _grouped(
    names: Iterable[str], group_of: Callable[[str], str]
) -> Iterator[tuple[str, list[str]]]:
    """The groups of several names."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(group_of(name), []).append(name)
    return ((group, members) for group, members in groups.items() if len(members) > 1)
