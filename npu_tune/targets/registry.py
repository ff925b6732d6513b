"""Finds targets through the entry-point group ``npu_tune.targets``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from npu_tune.errors import TargetError
from npu_tune.targets.base import Target, TargetFamily, TargetOptions

GROUP = "npu_tune.targets"


@cache
def target_families() -> Mapping[str, TargetFamily]:
    """Every installed family of targets, by entry-point name."""
    return {point.name: point.load()() for point in sorted(entry_points(group=GROUP))}


def load_target(name: str, options: TargetOptions | None = None) -> Target:
    """Makes the target called ``name``.

    Raises:
        TargetError: if no installed family knows the name, or an option is unknown.
    """
    for family in target_families().values():
        if name in family.names():
            return family.make(name, options or {})
    known = [known for family in target_families().values() for known in family.names()]
    raise TargetError(
        f"There is no target {name!r}.",
        remedy=f"Known are {', '.join(known)}; `npu-tune targets` describes them.",
        target=name,
    )
