"""The loop of a study that several drivers may run together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optuna.trial import FrozenTrial

from npu_tune.evaluation import Outcome
from npu_tune.space import Configuration, to_params
from npu_tune.tuning.attributes import KEY, own_trials
from npu_tune.tuning.ledger import PatientLedger
from npu_tune.tuning.ledger.shared import LostReservationError
from npu_tune.tuning.phase import phase_of
from npu_tune.tuning.recorder import Proposal
from npu_tune.tuning.runner import Runner
from npu_tune.tuning.sharing.board import Claim
from npu_tune.tuning.sharing.driver import Driver
from npu_tune.tuning.sharing.following import TrialReader
from npu_tune.tuning.sharing.view import OthersInView, Start, StartsInTurn, start_of
from npu_tune.tuning.trial import SAMPLER, TrialRecord, is_polish

_TRIES = 4
"""How often a sampler is asked again for what another driver does not evaluate already."""

_REST_S = 0.02  # between two looks at the others while there is nothing to do here


class SharedRunner(Runner):
    """Runs a study alone, as ever, until another driver wants to join; then in turn with it.

    Every proposal has a number that no other driver has, and the sampler's seed follows from it.
    Before a configuration is evaluated the others are told; their trials are taken in twice a
    second, and what they evaluate stands as running trials in the sampler's study.

    Args:
        shared: the ledger.
        options: the others of :class:`npu_tune.tuning.runner.Runner`.
    """

    def __init__(self, *args: Any, shared: PatientLedger, **options: Any) -> None:
        self._driver = Driver(shared, most=options["budget"].most)
        super().__init__(*args, ledger=shared, **options)
        self._recorder.marks = self._driver.marks
        self._shared = shared
        self._reader = TrialReader(
            self._objective, self._problem.space.default, self._known, self._meter, self._trials
        )
        self._position = self._tickets_before = 0
        self._others = OthersInView(self._driver, self._search, self._problem.space)
        self._is_over = False

    def run(self) -> str:
        """As of the runner.

        Raises:
            StorageError: also if the others have gone on without this driver.
        """
        if self._driver.is_shared:
            self._join()
        return super().run()

    def leave(self, reason: str) -> bool:
        """Ends this driver's part; True where it is for this one to conclude the study.

        Args:
            reason: why it ends.
        """
        self._is_over = True
        if not self._driver.is_shared:
            return True
        # Who was killed just now concludes nothing.
        while reason != "interrupted" and self._driver.others_are_at_work() is False:
            self._shared.rest(_REST_S)
            self._tick()
        is_last = self._driver.leave()
        if is_last:
            self._read_on()
        return is_last

    def _join(self) -> None:
        first = len(self._shared.in_memory[0])
        self._driver.join(lambda: own_trials(self._read(first)))
        trials = self._shared.in_memory[0]
        self._position = len(trials)
        new = own_trials(trials[first:])
        self._search.add(new)
        for trial in new:
            self._reader.take(trial, self.baseline)
        self._driver.place_numbers(self._search.count)

    def _read(self, first: int) -> list[FrozenTrial]:
        """All trials of the ledger, those from a number on as it has them now."""
        self._shared.trials_from(first)
        return self._shared.in_memory[0]

    def _share(self) -> None:
        waiting = [follower for each in self._followers.values() for follower in each]
        running = [self._others.reservation(p) for p in self._running]
        running += [self._others.reservation(p, waits=True) for p in waiting]
        self._position = len(self._shared.in_memory[0])
        self._others.forget()
        self._driver.share(
            running=running, count=self._search.count, evaluated=self._meter.evaluations
        )

    def _tick(self) -> None:
        super()._tick()
        if self._driver.is_shared and not self._running and self._tickets == self._tickets_before:
            self._shared.rest(_REST_S)
        self._tickets_before = self._tickets
        if not self._driver.is_due():
            return
        self._meter.drivers = self._driver.count
        if self._driver.is_shared:
            self._driver.beat(lambda: self._read(self._position)[self._position :])
            self._follow()
            if not self._is_over:
                self._driver.keep()
        elif not self._is_over and self.baseline is not None and self._driver.is_knocked():
            self._share()

    def _fill(self, starts: StartsInTurn) -> None:
        super()._fill(starts)
        self._driver.release()

    def _next(self, starts: StartsInTurn) -> Proposal | None:
        board = self._driver.board
        if board is None:
            return super()._next(starts)
        if self._stop.requested or not self._shared.is_in_reach:
            return None
        is_polishing, revert = False, None
        if not board.has_abandoned:
            if self._left() == 0:
                return None
            is_polishing, revert = self._polishing()
            if is_polishing and self._driver.is_behind:
                self._follow()
                is_polishing, revert = self._polishing()
            if revert is None and (is_polishing or self._reason() is not None):
                return None
        reservation = self._driver.reserve()
        if reservation is None:
            return None
        self._others.update()
        if reservation.key:
            return self._proposed(reservation.number, self._others.start_of(reservation))
        if board.has_abandoned:  # somebody else has taken it over
            self._driver.give_back(reservation.number)
            return None
        return self._fresh(reservation.number, start_of(revert), starts)

    def _fresh(self, number: int, given: Start | None, starts: StartsInTurn) -> Proposal | None:
        given = given or self._others.next_start(
            starts, {record.origin for record in self._trials}
        )
        if given is None and self._search.is_stopped:  # that was the last start, for others
            self._driver.give_back(number)
            return None
        return self._proposed(number, given)

    def _proposed(self, number: int, given: Start | None) -> Proposal:
        configuration, origin = given or (None, SAMPLER)
        params = None if configuration is None else to_params(self._problem.space, configuration)
        return self._proposal(
            self._search.ask_as(self._driver.numbers.local(number), params), origin
        )

    def _start(self, proposal: Proposal) -> None:
        if self._driver.board is None:
            super()._start(proposal)
            return
        self._phase = phase_of(proposal.origin, self._phase)
        try:
            self._start_beside(proposal)
        except LostReservationError:
            return  # somebody else does it

    def _start_beside(self, proposal: Proposal) -> None:
        """Evaluates a proposal or something else, or repeats what answers for it, now or later."""
        tries, is_sampled = _TRIES, proposal.origin == SAMPLER
        may_refuse = is_sampled and self._driver.has_met_others  # else as if nobody had knocked
        while self._driver.holds(proposal.trial.number):
            known, is_own = self._known.find(proposal.key), self._running.has(proposal.key)
            if known is not None or is_own:
                self._duplicates_in_a_row += 1
                if may_refuse and tries > 0:
                    tries -= 1
                    proposal = self._other(proposal)
                    continue
            if known is not None:
                self._repeat(proposal, known)
                return
            waits = is_own or tries <= 0
            claim = self._driver.claim(self._others.reservation(proposal, waits=waits))
            if claim is Claim.GRANTED and waits:
                self._duplicates_in_a_row += not is_own
                self._followers[proposal.key].append(proposal)
                return
            if claim is Claim.GRANTED:
                self._duplicates_in_a_row = 0
                self._evaluate(proposal)
                return
            if claim is Claim.BEHIND:
                self._follow()
                tries += waits  # nobody evaluates it any more
                continue
            if not is_sampled:
                self._follow()
                self._driver.give_back(self._driver.numbers.shared(proposal.trial.number))
                return
            tries -= 1
            if tries > 0:
                proposal = self._other(proposal)

    def _other(self, proposal: Proposal) -> Proposal:
        """What the sampler has instead of what is known, or evaluated by another driver."""
        if not self._search.refuse(proposal.trial):
            self._follow()
        self._others.update()
        number = proposal.trial.number
        if not self._driver.holds(number):
            return proposal
        return self._proposed(self._driver.numbers.shared(number), None)

    def _record(self, proposal: Proposal, outcome: Outcome) -> None:
        is_searching = proposal.origin == SAMPLER and not self._stop.requested
        self._driver.reserves_next = is_searching and self._evaluator.free > 0
        record = self._written(proposal, lambda: self._recorder.record(proposal, outcome))
        self._driver.reserves_next = False
        if record is not None:
            self._learn(proposal.key, record)

    def _repeat(self, proposal: Proposal, original: TrialRecord) -> None:
        record = self._written(proposal, lambda: self._recorder.repeat(proposal, original))
        if record is not None:
            self._trials.append(record)

    def _written(self, proposal: Proposal, write: Callable[[], TrialRecord]) -> TrialRecord | None:
        """A finished trial; None if its number is another driver's now, who finishes it.

        While the best is polished it stands behind those that others finished before, as what is
        asked next follows from their order; else they are taken in later, many at once.
        """
        if not self._driver.holds(proposal.trial.number):
            return None
        try:
            record = write()
        except LostReservationError:
            self._search.reopen(proposal.trial)
            return None
        if self._driver.board is not None and is_polish(record):
            self._follow(record.number)
        return record

    def _follow(self, until: int | None = None) -> None:
        """Takes in what others have finished."""
        is_read = until is not None and until <= self._position
        if not is_read and self._driver.is_behind:
            self._read_on(until)

    def _read_on(self, until: int | None = None) -> None:
        first, seen = self._position, self._driver.look()
        found = self._shared.attempt(lambda: self._shared.trials_from(first, until))
        if found is None:
            return
        answers: dict[str, TrialRecord] = {}
        for trial in found:
            self._position += 1
            if self._driver.numbers.note(trial):
                self._search.put(self._driver.numbers.local(self._driver.numbers.of(trial)), trial)
                answers[trial.user_attrs[KEY]] = self._reader.take(trial, self.baseline)
        if until is None:
            self._driver.has_seen(seen)
        for key, record in answers.items():
            for follower in self._followers.pop(key, []):
                self._repeat(follower, record)

    def _is_waiting(self) -> bool:
        # All may wait for what a killed driver had under way, which one of them has to take over.
        return super()._is_waiting() and not self._driver.has_abandoned

    def _left(self) -> int | None:
        board = self._driver.board
        if board is None:
            return super()._left()
        return self._budget.left(board.evaluations - self._driver.unused)

    def _is_busy(self) -> bool:
        if super()._is_busy():
            return True
        board = self._driver.board
        return board is not None and not self._stop.requested and not board.is_settled

    def _under_way(self) -> tuple[list[Configuration], bool]:
        own, is_searching = super()._under_way()
        theirs, are_searching = self._others.under_way()
        return own + theirs, is_searching or are_searching
