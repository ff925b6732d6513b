"""Several drivers of one study in this process, of which one goes on at a time as a seed has it.

Each runs in a thread of its own, which stops before it touches what all of them share, and goes on
when it is its turn. Any of them may be killed there, or between a trial and what the board says
of it, or may sleep for longer than its lease. The clock is the seed's as well.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from npu_tune.evaluation import Outcome, evaluate
from npu_tune.evaluation.evaluator import Evaluator, Request
from npu_tune.evaluation.pool import Finished
from npu_tune.space import SearchSpace, to_params
from npu_tune.targets import Problem
from npu_tune.tuning.attributes import own_trials
from npu_tune.tuning.budget import Budget
from npu_tune.tuning.ledger import PatientLedger
from npu_tune.tuning.ledger.journal import JournalLedger
from npu_tune.tuning.ledger.lock import is_locked
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.polish import PolishSettings
from npu_tune.tuning.progress import ProgressMeter
from npu_tune.tuning.recorded import trial_records
from npu_tune.tuning.search import new_search
from npu_tune.tuning.sections import ObjectiveSection, SamplerSection
from npu_tune.tuning.sharing.lives import LEASE_S
from npu_tune.tuning.sharing.runner import SharedRunner
from npu_tune.tuning.signals import StopRequest

_MOST_STEPS = 20_000


class KilledError(BaseException):
    """Ends a driver as SIGKILL does: it says nothing more to anybody."""


class Turns(threading.Thread):
    """A thread that goes on only when it is told to.

    Args:
        act: what it does.
    """

    def __init__(self, act: Callable[[Turns], None]) -> None:
        super().__init__(daemon=True)
        self._act = act
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self.is_killed = self.is_doomed = self.is_over = False
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.pause()
            self._act(self)
        except KilledError:
            pass
        except BaseException as error:  # noqa: BLE001 - it is for the test to say
            self.error = error
        finally:
            self.is_over = True
            self._back.release()

    def pause(self) -> None:
        """Lets others go on until it is this one's turn again."""
        if not self.is_killed:
            self._back.release()
            self._go.acquire()
        if self.is_killed:
            raise KilledError

    def step(self) -> None:
        """Lets it go on until it pauses again, or ends."""
        self._back.acquire()
        if self.is_over:
            self._back.release()
            return
        self._go.release()
        self._back.acquire()
        self._back.release()

    def kill(self) -> None:
        """Ends it where it stands."""
        self.is_killed = True
        self.step()


class StepEvaluator(Evaluator):
    """Evaluates at once, and answers after some turns of the others.

    Args:
        problem: evaluates.
        turns: of the driver.
        chance: decides when.
        log: gets the key of every evaluation that begins.
        capacity: how many run at a time.
    """

    def __init__(
        self, problem: Problem, turns: Turns, chance: random.Random, log: list[str], capacity: int
    ) -> None:
        self._problem, self._turns, self._chance, self._log = problem, turns, chance, log
        self._capacity = capacity
        self._asked: list[tuple[int, Request]] = []

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def free(self) -> int:
        return self._capacity - len(self._asked)

    def submit(self, ticket: int, request: Request) -> None:
        self._log.append(request.key)
        self._asked.append((ticket, request))

    def wait(self, timeout_s: float) -> Finished[Outcome] | None:
        self._turns.pause()
        if not self._asked or self._chance.random() < 0.3:
            return None
        ticket, request = self._asked.pop(self._chance.randrange(len(self._asked)))
        return Finished(ticket, evaluate(self._problem, request.configuration))

    def close(self) -> None:
        self._asked.clear()


class InOrder(BaseSampler):
    """Proposes one block size after the other, each until it is known.

    Args:
        space: of the study.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._default = to_params(space, space.default)
        self._moved = [knob.full_name for knob in space.knobs if knob.name == "block"]

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        known = {tuple(t.params.values()) for t in study.trials if t.state.is_finished()}
        place = self._moved.index(param_name) if param_name in self._moved else -1
        if place < 0:
            return self._default[param_name]
        values = range(param_distribution.low, param_distribution.high + 1)
        return values[len(known) // len(values) ** place % len(values)]


class Interleaved:
    """A study in a journal whose drivers take turns.

    Args:
        folder: of the study.
        problem: that is searched.
        seed: decides about everything.
        evaluations: the budget.
        sampler: of the study; ``in order`` for one by which all drivers propose the same.
        capacity: how many evaluations a driver has under way at a time.
        polish: how many evaluations polish the best.
    """

    def __init__(
        self,
        folder: Path,
        problem: Problem,
        *,
        seed: int,
        evaluations: int,
        sampler: str = "random",
        capacity: int = 1,
        polish: int = 0,
    ) -> None:
        self._path, self._problem, self._evaluations = (
            folder / "ledger.journal",
            problem,
            evaluations,
        )
        self._sampler, self._capacity, self._polish = sampler, capacity, polish
        self._chance = random.Random(seed)
        self._now = 0.0
        self.objective = Objective.of(ObjectiveSection(), {}, problem.metrics)
        self.drivers: list[Turns] = []
        self.runners: dict[Turns, SharedRunner] = {}
        self.reasons: dict[Turns, str] = {}
        self.last: SharedRunner | None = None
        self.log: list[str] = []
        self.forgotten: set[str] = set()
        self.slept = 0
        self.killed = 0

    def add(self) -> None:
        """Starts another driver."""
        self.drivers.append(Turns(self._drive))

    def run(self, *, kills: int = 0, sleeps: int = 0, most: int = 3) -> None:
        """Runs the study to its end, with drivers that join, sleep and are killed.

        Args:
            kills: how many are killed; for each another one starts.
            sleeps: how often one sleeps for longer than its lease.
            most: drivers at a time.
        """
        self.add()
        asleep: dict[Turns, float] = {}
        steps = 0
        while alive := [driver for driver in self.drivers if not driver.is_over]:
            steps += 1
            assert steps < _MOST_STEPS, "The drivers wait for one another, and for nothing else."
            self._now += self._chance.choice((0.01, 0.1, 0.6))
            if len(alive) < most and self._chance.random() < 0.05 and not self.reasons:
                self.add()
            for driver in [d for d, until in asleep.items() if until < self._now or d.is_over]:
                del asleep[driver]
            awake = [driver for driver in alive if driver not in asleep]
            if not awake:
                self._now += 1.0
                continue
            driver = self._chance.choice(awake)
            lot = self._chance.random()
            if lot < 0.02 and self.killed < kills:
                self.killed += 1
                self._forget(driver)
                driver.kill()
                self.add()
            elif lot < 0.04 and self.killed < kills:
                driver.is_doomed = True
                driver.step()
            elif lot < 0.06 and self.slept < sleeps:
                self.slept += 1
                asleep[driver] = self._now + LEASE_S + 2
            else:
                driver.step()

    def trials(self) -> list[Any]:
        """Those of the ledger, as records."""
        with JournalLedger(self._path, name="test", read_only=True) as ledger:
            return trial_records(
                own_trials(ledger.trials()),
                default=self._problem.space.default,
                objective=self.objective,
            )

    def _forget(self, driver: Turns) -> None:
        """Notes what is under way in a driver that others know nothing of."""
        runner = self.runners.get(driver)
        if runner is not None and runner._driver.board is None:
            self.forgotten |= {proposal.key for proposal in runner._running}

    def repeated(self) -> int:
        """How many evaluations were of a configuration that was evaluated before."""
        return sum(count - 1 for count in Counter(self.log).values())

    def _drive(self, turns: Turns) -> None:
        opened = self._open(turns)
        try:
            runner = self._runner(opened, turns)
            self.runners[turns] = runner
            reason = runner.run()
            if runner.leave(reason):
                self.last = runner
            self.reasons[turns] = reason
        finally:
            opened.close()

    def _open(self, turns: Turns) -> PatientLedger:
        while self._path.exists() and is_locked(self._path):
            self._path.with_name(f"{self._path.name}.knock").touch()
            turns.pause()
        directions = self.objective.study_directions
        inner = JournalLedger(self._path, name="test", directions=directions, join_wait_s=1.0)
        self._interrupt(inner, turns)
        return PatientLedger(
            inner, retry_s=60.0, clock=lambda: self._now, rest=lambda _: turns.pause()
        )

    def _interrupt(self, ledger: JournalLedger, turns: Turns) -> None:
        """Has the driver pause before it touches what is shared, and die in between if doomed."""
        place: Any = ledger.place

        def before(call: Callable[..., Any]) -> Callable[..., Any]:
            def paused(*args: Any) -> Any:
                if place._lock is None:  # else it is its turn already, and all others wait
                    turns.pause()
                return call(*args)

            return paused

        write = place._write

        def say(text: str) -> None:
            if turns.is_doomed and not turns.is_killed:
                turns.is_killed = True
                self.killed += 1
                self.add()
                raise KilledError
            write(text)

        place._write = say
        place.exchange, place.append = before(place.exchange), before(place.append)
        ledger.trials_from = before(ledger.trials_from)  # type: ignore[method-assign]

    def _runner(self, ledger: PatientLedger, turns: Turns) -> SharedRunner:
        problem, objective = self._problem, self.objective
        trials = own_trials(ledger.trials())
        earlier = trial_records(trials, default=problem.space.default, objective=objective)
        search = new_search(
            SamplerSection(name=self._sampler),
            seed=1,
            problem=problem,
            objective=objective,
            evaluations=self._evaluations,
            sampler=InOrder(problem.space) if self._sampler == "in order" else None,
        )
        search.add(trials)
        meter = ProgressMeter(
            objective, evaluations=self._evaluations, wall_time_s=None, clock=lambda: self._now
        )
        for record in earlier:
            meter.count(record, earlier=True)
        return SharedRunner(
            problem,
            objective,
            search=search,
            earlier=earlier,
            shared=ledger,
            evaluator=StepEvaluator(problem, turns, self._chance, self.log, self._capacity),
            budget=Budget(self._evaluations, 100),
            meter=meter,
            stop=StopRequest(),
            starts=problem.starts,
            polish=PolishSettings(most=self._polish) if self._polish else None,
        )
