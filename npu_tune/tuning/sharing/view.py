"""What other drivers evaluate, as this one's search sees it."""

from __future__ import annotations

from npu_tune._optuna_compat import SearchStudy
from npu_tune.space import Configuration, SearchSpace, to_params
from npu_tune.tuning.reverts import Revert
from npu_tune.tuning.sharing.board import Reservation
from npu_tune.tuning.sharing.driver import Driver
from npu_tune.tuning.trial import POLISH

Start = tuple[Configuration, str]
"""A configuration with the origin of its trial."""


class OthersInView:
    """Has what others evaluate stand as running trials in the sampler's study.

    Args:
        driver: knows of the others.
        search: the sampler's study.
        space: of the configurations.
    """

    def __init__(self, driver: Driver, search: SearchStudy, space: SearchSpace) -> None:
        self._driver, self._search, self._space = driver, search, space
        self._held: dict[int, str] = {}

    def forget(self) -> None:
        """Begins anew, as numbers mean something else."""
        self._held = {}

    def update(self) -> None:
        """Lets the sampler see what others evaluate now."""
        for row in self._driver.of_others():
            if self._held.get(row.number) != row.key:
                place = self._driver.numbers.local(row.number)
                self._search.hold(place, to_params(self._space, self.start_of(row)[0]))
                self._held[row.number] = row.key

    def under_way(self) -> tuple[list[Configuration], bool]:
        """The reverts that others evaluate now, and whether they evaluate anything else."""
        starts = [self.start_of(row) for row in self._driver.of_others()]
        reverts = [configuration for configuration, why in starts if why.startswith(POLISH)]
        return reverts, len(reverts) < len(starts)

    def start_of(self, row: Reservation) -> Start:
        """What a reservation is for."""
        return self._space.default.replace(dict(row.changes)), row.origin


def start_of(revert: Revert | None) -> Start | None:
    """A revert as what is to be evaluated next."""
    return None if revert is None else (revert.configuration, revert.origin)
