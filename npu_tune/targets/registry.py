"""Finds targets through the entry-point group ``npu_tune.targets``.

An entry point names a family of targets, or a subclass of :class:`BaseTarget` for a single one.
One that cannot be used harms itself alone: it is warned of, and left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from npu_tune.errors import NpuTuneWarning, TargetError, sentence_of
from npu_tune.targets.base import BaseTarget, TargetFamily, TargetOptions
from npu_tune.targets.problem import Target
from npu_tune.targets.single import SingleTarget
from npu_tune.validation import Table, key_note, known_remedy

GROUP = "npu_tune.targets"


@dataclass(frozen=True, slots=True)
class InstalledFamily:
    """A family and where it comes from.

    Args:
        key: name of the entry point, with the package where two packages have one of this name.
        package: that brings it.
        family: makes the targets.
        names: of its targets.
    """

    key: str
    package: str
    family: TargetFamily
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Installed:
    """Every family that can be used, and in words those that cannot."""

    families: tuple[InstalledFamily, ...]
    broken: tuple[str, ...]


def target_families() -> Mapping[str, TargetFamily]:
    """Every installed family of targets that can be used, by entry-point name."""
    return {each.key: each.family for each in _installed().families}


def find_family(name: str) -> TargetFamily:
    """The family that makes the target called ``name``.

    Raises:
        TargetError: if no installed family knows the name, or more than one does.
    """
    installed = _installed()
    owners = [each for each in installed.families if name in each.names]
    if len(owners) == 1:
        return owners[0].family
    if owners:
        raise TargetError(
            f"{_offered(name, owners)}, so that it does not say which is meant.",
            remedy="Uninstall one of the packages.",
            target=name,
            packages=[each.package for each in owners],
        )
    known = [target for each in installed.families for target in each.names]
    broken = "".join(f" {each}" for each in installed.broken)
    raise TargetError(
        f"There is no target {name!r}{key_note('target.name')}.",
        remedy=f"{known_remedy(name, known).rstrip('.')}; `npu-tune targets` describes them."
        + broken,
        target=name,
    )


def load_target(name: str, options: TargetOptions | None = None) -> Target:
    """Makes the target called ``name``.

    Raises:
        TargetError: if no installed family knows the name, more than one does, or an option is
            unknown.
    """
    return find_family(name).make(name, options or {})


def warn_of_shared_names() -> None:
    """Warns of every name of a target that more than one family offers."""
    families = _installed().families
    names = dict.fromkeys(name for each in families for name in each.names)
    for name in names:
        owners = [each for each in families if name in each.names]
        if len(owners) > 1:
            _warn(f"{_offered(name, owners)}; it cannot be used until one is uninstalled.")


def _offered(name: str, owners: Iterable[InstalledFamily]) -> str:
    sources = " and by ".join(f"{each.package} ({each.key})" for each in owners)
    return f"The target {name!r} is offered by {sources}"


def _installed() -> _Installed:
    points = entry_points(group=GROUP)
    return _load(tuple(sorted((point, _package(point)) for point in points)))


@lru_cache(maxsize=1)
def _load(points: tuple[tuple[EntryPoint, str], ...]) -> _Installed:
    """Loads families once for as long as the same ones are installed; warns of broken ones."""
    families: list[InstalledFamily] = []
    broken: list[str] = []
    names = [point.name for point, _ in points]
    for point, package in points:
        key = point.name if names.count(point.name) == 1 else f"{point.name} of {package}"
        try:
            family = _family(point)
            families.append(InstalledFamily(key, package, family, tuple(family.names())))
        except Exception as error:  # noqa: BLE001 -- whatever a package of somebody else raises
            said = sentence_of(error).rstrip(".")
            broken.append(
                f"The targets {point.name!r} of the package {package} cannot be used: {said}."
            )
            _warn(broken[-1])
    return _Installed(tuple(families), tuple(broken))


def _family(point: EntryPoint) -> TargetFamily:
    loaded = point.load()
    if isinstance(loaded, type) and issubclass(loaded, BaseTarget):
        return SingleTarget(loaded)
    family: TargetFamily = loaded()
    options = family.options
    if not isinstance(options, type) or not issubclass(options, Table):
        raise TypeError(f"the options of {point.value} are no subclass of Table")
    return family


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "?"


def _warn(words: str) -> None:
    warnings.warn(words, NpuTuneWarning, stacklevel=2)
