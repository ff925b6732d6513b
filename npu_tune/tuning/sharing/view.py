"""What other drivers evaluate, as this one's search sees it."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from npu_tune._optuna_compat import SearchStudy
from npu_tune.space import Configuration, SearchSpace, from_params, to_params
from npu_tune.tuning.recorder import Proposal
from npu_tune.tuning.reverts import Revert
from npu_tune.tuning.sharing.board import Reservation
from npu_tune.tuning.sharing.driver import Driver
from npu_tune.tuning.trial import POLISH

Start = tuple[Configuration, str]
"""A configuration with the origin of its trial."""

StartsInTurn = Iterator[Start | None]
"""Those that are left; None where it is the sampler's turn."""


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
        """Lets the sampler see what others evaluate, or have just evaluated."""
        for row in self._driver.numbers.seen():
            if self._held.get(row.number) != row.key:
                place = self._driver.numbers.local(row.number)
                self._search.hold(place, to_params(self._space, self.start_of(row)[0]))
                self._held[row.number] = row.key

    def under_way(self) -> tuple[list[Configuration], bool]:
        """The reverts that others evaluate now, and whether they evaluate anything else."""
        starts = [self.start_of(row) for row in self._driver.of_others()]
        effective = self._space.effective
        reverts = [effective(asked) for asked, why in starts if why.startswith(POLISH)]
        return reverts, len(reverts) < len(starts)

    def next_start(self, starts: StartsInTurn, done: AbstractSet[str]) -> Start | None:
        """The next start that nobody has evaluated or evaluates; None for the sampler.

        Args:
            starts: that are left, with None where it is the sampler's turn.
            done: origins of what was evaluated.
        """
        done = done | {row.origin for row in self._driver.of_others()}
        for start in starts:
            if start is None or start[1] not in done:
                return start
        return None

    def reservation(self, proposal: Proposal, *, waits: bool = False) -> Reservation:
        """What this driver tells the others of a proposal, which another evaluation may answer."""
        number = self._driver.numbers.shared(proposal.trial.number)
        asked = from_params(self._space, proposal.trial.params).difference(self._space.default)
        name, key, origin = self._driver.name, proposal.key, proposal.origin
        return Reservation(number, name, key, origin, dict(asked), waits)

    def start_of(self, row: Reservation) -> Start:
        """What a reservation is for."""
        return self._space.default.replace(dict(row.changes)), row.origin


def start_of(revert: Revert | None) -> Start | None:
    """A revert as what is to be evaluated next."""
    return None if revert is None else (revert.configuration, revert.origin)
