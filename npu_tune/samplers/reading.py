"""Reads a study incrementally, so that a proposal costs only what is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from npu_tune.samplers.feed import TrialFeed
from npu_tune.samplers.history import History
from npu_tune.samplers.layers import LayeredSpace


class StudyReader:
    """A study's space and trials; what it holds is checked against the trials at every use.

    Args:
        is_noisy: whether trials of one point are repeated measurements, see :class:`History`.
    """

    def __init__(self, *, is_noisy: bool = False) -> None:
        self._is_noisy = is_noisy
        self._history: History | None = None
        self._space: LayeredSpace | None = None
        self._space_of: Mapping[str, BaseDistribution] = {}
        self._given: Mapping[str, BaseDistribution] | None = None
        self._feed = TrialFeed()
        self._trials: list[FrozenTrial] = []
        self._read_for: int | None = None
        self._common: dict[str, BaseDistribution] | None = None

    def read(self, study: Study, number: int) -> None:
        """Takes in what is new, for the proposal of a trial.

        Args:
            study: whose trials are read.
            number: of the trial; the next :meth:`history` for it is of what was read now.
        """
        trials = study.get_trials(deepcopy=False)
        changed = self._feed.changed(trials)
        if changed is None:
            self._feed, self._common, self._history = TrialFeed(), None, None
            changed = self._feed.changed(trials) or []
        for trial in changed:
            if trial.state == TrialState.COMPLETE:
                self._intersect(trial.distributions)
        if self._history is not None:
            self._history.read(trials, changed, settled=self._feed.settled)
        self._trials, self._read_for = trials, number

    def history(self, space: LayeredSpace, study: Study, number: int) -> History:
        """The study's trials; the same object as long as trials are only added.

        Args:
            space: of the study.
            study: whose trials they are.
            number: of the trial that is proposed.
        """
        if self._read_for != number:
            self.read(study, number)
        self._read_for = None
        known = self._history
        if known is None or known.space is not space:
            known = self._history = History(space, study.directions, is_noisy=self._is_noisy)
            known.read(self._trials, self._trials, settled=self._feed.settled)
        return known

    def layered_space(
        self, distributions: Mapping[str, BaseDistribution], order: Sequence[str] | None
    ) -> LayeredSpace | None:
        """The space of the discrete parameters; None where they belong to no layers."""
        known = self._space
        if known is not None and (
            distributions is self._given or distributions is known.distributions
        ):
            return known
        self._given = distributions
        discrete = {
            name: distribution
            for name, distribution in distributions.items()
            if isinstance(distribution, (IntDistribution, CategoricalDistribution))
        }
        if self._space_of != discrete:
            self._space = LayeredSpace.of(discrete, order)
            self._space_of = discrete
        return self._space

    @property
    def has_space(self) -> bool:
        """False until a trial has completed from which the space is known."""
        return self._common is not None

    @property
    def common_space(self) -> dict[str, BaseDistribution]:
        """Parameters that all completed trials have, with the same distribution."""
        return self._common or {}

    def _intersect(self, distributions: dict[str, BaseDistribution]) -> None:
        if self._common is None:
            self._common = dict(distributions)
        elif distributions != self._common:
            self._common = {
                name: distribution
                for name, distribution in self._common.items()
                if distributions.get(name) == distribution
            }
