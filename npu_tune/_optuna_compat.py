"""Everything in this package that touches Optuna's private side; written against Optuna 5.0.

Five things are here: a study in memory whose trials are asked for whole instead of parameter by
parameter, the lines of Optuna's journal file, Optuna's own database tables, what its dashboard
reads beyond that (written against optuna-dashboard 0.21), and hypervolumes.
"""

# Private members are what this module is for.
# ruff: noqa: SLF001

from __future__ import annotations

import copy
import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import optuna
from numpy.typing import ArrayLike
from optuna._hypervolume import compute_hypervolume
from optuna.distributions import (
    BaseDistribution,
    FloatDistribution,
    distribution_to_json,
    json_to_distribution,
)
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.storages import InMemoryStorage
from optuna.storages.journal._storage import JournalOperation, JournalStorageReplayResult
from optuna.study import StudyDirection
from optuna.study._constrained_optimization import _CONSTRAINTS_KEY
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    import sqlalchemy

METRIC_NAMES_KEY = "study:metric_names"
"""The study system attribute under which Optuna keeps the names of the objectives."""

_NOTE_VERSION = "dashboard:note_ver"
_NOTE_PART = "dashboard:note_str:"
_LONGEST_NOTE_PART = 2045
"""Study system attributes that hold the note which the dashboard shows, as its ``save_note`` has
them: a number that grows with every change, and the text in parts of so many characters. The
dashboard itself is optional, so that they are written without it."""

Callback: TypeAlias = Callable[[optuna.Study, FrozenTrial], None]
"""What ``Study.optimize`` takes as ``callbacks``: called with the study and a finished trial."""

_FIXED_PARAMS = "fixed_params"
"""The trial system attribute that holds what ``Study.enqueue_trial`` was given."""

_MOST_VALUES = 1024
"""Values of a parameter that are remembered; it may have very many."""

_STORAGES_THAT_TELL = ("_in_memory", "_rdb.storage")

SEALED_WORKER = "npu-tune+crc32"
"""Who wrote a line of a journal that carries a checksum; earlier versions wrote ``npu-tune``."""


def parse_directions(directions: Sequence[str | StudyDirection]) -> list[StudyDirection]:
    """Optuna's directions from ``minimize`` and ``maximize``."""
    return [
        given if isinstance(given, StudyDirection) else StudyDirection[given.upper()]
        for given in directions
    ]


def direction_words(directions: Iterable[StudyDirection]) -> list[str]:
    """The reverse of :func:`parse_directions`."""
    return [direction.name.lower() for direction in directions]


def chosen_params(trial: FrozenTrial) -> dict[str, Any]:
    """A trial's parameters, with those that an unfinished one was enqueued with."""
    is_whole = trial.state is TrialState.COMPLETE
    fixed = {} if is_whole else trial.system_attrs.get(_FIXED_PARAMS, {})
    return {**fixed, **trial.params}


class SearchStudy:
    """An Optuna study in memory for any sampler, without the cost of ``suggest``.

    Optuna's samplers see an ordinary study, with running trials in it; a trial is sampled whole
    for one fixed set of distributions, and nothing is copied that need not be.

    Args:
        sampler: any Optuna sampler.
        directions: ``minimize`` or ``maximize`` per objective.
        distributions: of every parameter, by name, in the order of sampling.
        name: of the study, for callbacks.
        metric_names: of the objectives, for callbacks.
        callbacks: are called by :meth:`announce`.

    Attributes:
        study: the study itself.
        is_stopped: True once a callback has called ``study.stop()``.
    """

    def __init__(
        self,
        sampler: BaseSampler,
        directions: Sequence[str | StudyDirection],
        distributions: Mapping[str, BaseDistribution],
        *,
        name: str = "search",
        metric_names: Sequence[str] = (),
        callbacks: Iterable[Callback] = (),
    ) -> None:
        self._storage = _WholeTrialStorage()
        with quiet_creation():
            self._study_id = self._storage.create_new_study(parse_directions(directions), name)
        if metric_names:
            names = list(metric_names)
            self._storage.set_study_system_attr(self._study_id, METRIC_NAMES_KEY, names)
        self._distributions = dict(distributions)
        self._held = _HeldValues(self._distributions)
        self._open = [name for name, d in distributions.items() if not d.single()]
        self._single = {
            name: optuna.distributions._get_single_value(d)
            for name, d in distributions.items()
            if d.single()
        }
        self.study = optuna.Study(name, self._storage, sampler=sampler)
        self._callbacks = tuple(callbacks)
        self.is_stopped = False

    def enqueue(
        self, params: Mapping[str, Any], user_attrs: Mapping[str, Any] | None = None
    ) -> None:
        """Lets a coming ``ask`` return these parameters, the missing ones sampled.

        Raises:
            ValueError: if a parameter is unknown or its value not in its distribution.
        """
        for name, value in params.items():
            if name not in self._distributions or not self._held.holds(name, value):
                raise ValueError(f"The parameter {name!r} cannot be {value!r}.")
        self.study.enqueue_trial(dict(params), user_attrs=dict(user_attrs or {}))

    def ask(self) -> FrozenTrial:
        """Starts a trial: an enqueued one if there is any, else one the sampler proposes."""
        self._forget_cached_trials()
        trial_id = self.study._pop_waiting_trial_id()
        if trial_id is None:
            trial_id = self._storage.create_new_trial(self._study_id)
        return self._start(trial_id)

    def _start(self, trial_id: int) -> FrozenTrial:
        self._forget_cached_trials()
        self.study.sampler.before_trial(self.study, self._storage.get_trial(trial_id))
        params = self._sample(self._storage.get_trial(trial_id))
        return self._storage.update(trial_id, params=params, distributions=self._distributions)

    @property
    def count(self) -> int:
        """How many trials there are, running ones and those of others among them."""
        return self._storage.count(self._study_id)

    def hold(self, number: int, params: Mapping[str, Any] | None = None) -> None:
        """Has a running trial of this number, which somebody else has or had, for samplers to see.

        Trials below it that are not there yet become running ones, too.

        Args:
            number: of the trial.
            params: of it, as far as they are known.
        """
        trial = self._storage.running(self._study_id, number)
        if params is not None and not trial.state.is_finished():
            self._storage.update(
                trial._trial_id, params=dict(params), distributions=self._distributions
            )
        self._forget_cached_trials()

    def ask_as(self, number: int, params: Mapping[str, Any] | None = None) -> FrozenTrial:
        """Starts a trial of this very number, which is not finished; it may be started again.

        Args:
            number: of the trial, see :meth:`hold`.
            params: what it is to be; None lets the sampler propose.
        """
        trial_id = self._storage.running(self._study_id, number)._trial_id
        fixed = {} if params is None else {_FIXED_PARAMS: dict(params)}
        now = datetime.now()  # noqa: DTZ005 - as Optuna's storages have it
        none: dict[str, Any] = {"params": {}, "distributions": {}}
        self._storage.update(trial_id, system_attrs=fixed, datetime_start=now, **none)
        return self._start(trial_id)

    def put(self, number: int, trial: FrozenTrial) -> None:
        """Puts the finished trial of somebody else where :meth:`hold` had its number."""
        running = self._storage.running(self._study_id, number)
        taken = copy.copy(trial)
        taken._trial_id, taken.number = running._trial_id, number
        if taken.distributions == self._distributions:
            taken.distributions = self._distributions
        self._storage.replace(self._study_id, taken)
        self._forget_cached_trials()

    def reopen(self, trial: FrozenTrial) -> None:
        """Has a trial run again that was told an outcome of which nothing is to be known."""
        running = copy.copy(trial)
        running.state, running.values, running.datetime_complete = TrialState.RUNNING, None, None
        self._storage.replace(self._study_id, running)
        self._forget_cached_trials()

    def refuse(self, trial: FrozenTrial) -> bool:
        """Has a running trial get something else when it is started again; False where it may not.

        A sampler does so by a method ``refuse`` of the study and the trial.
        """
        refuse = getattr(self.study.sampler, "refuse", None)
        if refuse is not None:
            refuse(self.study, trial)
        return refuse is not None

    def prediction(self, trial: FrozenTrial) -> float | None:
        """The value that the sampler expects of a running trial; None where it does not say.

        A sampler says so by a method ``prediction`` of the study and the trial.
        """
        predict = getattr(self.study.sampler, "prediction", None)
        return None if predict is None else predict(self.study, trial)

    def tell(
        self,
        trial: FrozenTrial,
        values: Sequence[float] | None,
        *,
        user_attrs: Mapping[str, Any] | None = None,
        constraints: Mapping[str, float] | None = None,
    ) -> FrozenTrial:
        """Finishes a running trial and returns it.

        Args:
            trial: what ``ask`` returned.
            values: one per objective; None, or a NaN among them, marks the trial as failed.
            user_attrs: added to the trial.
            constraints: by name; at most 0 is feasible.
        """
        failed = values is None or any(math.isnan(value) for value in values)
        told = None if failed or values is None else [float(value) for value in values]
        state = TrialState.FAIL if failed else TrialState.COMPLETE
        named = {f"{_CONSTRAINTS_KEY}:{k}": float(v) for k, v in (constraints or {}).items()}
        stored = self._storage.get_trial(trial._trial_id)
        stored = self._storage.update(
            trial._trial_id,
            user_attrs=stored.user_attrs | dict(user_attrs or {}),
            system_attrs=stored.system_attrs | named,
        )
        self._forget_cached_trials()
        try:
            self.study.sampler.after_trial(self.study, stored, state, told)
        finally:
            self._storage.set_trial_state_values(trial._trial_id, state, told)
        return self._storage.get_trial(trial._trial_id)

    def announce(self, trial: FrozenTrial) -> None:
        """Calls the callbacks with a finished trial, each with a copy, as ``Study.optimize`` does.

        What a callback raises is raised here.
        """
        local = self.study._thread_local
        for callback in self._callbacks:
            told = copy.copy(trial)
            told.params, told.distributions = dict(trial.params), dict(trial.distributions)
            told.user_attrs = json.loads(json.dumps(trial.user_attrs, default=dict))
            local.in_optimize_loop = True  # lets it call `stop`
            try:
                callback(self.study, told)
            finally:
                local.in_optimize_loop = False
                self.is_stopped = self.is_stopped or self.study._stop_flag

    def add(self, trials: Iterable[FrozenTrial]) -> None:
        """Takes finished trials over, in order; they are numbered on from what is there.

        A trial with that very number is not copied.
        """
        shared: Mapping[str, BaseDistribution] | None = None
        for trial in trials:
            taken = (
                trial if self._storage.would_number(self._study_id, trial) else copy.copy(trial)
            )
            # Most trials have one object in common, which is compared once.
            if taken.distributions is shared or taken.distributions == self._distributions:
                shared = taken.distributions
                taken.distributions = self._distributions
            self._storage.insert(self._study_id, taken)
        self._forget_cached_trials()

    def _sample(self, trial: FrozenTrial) -> dict[str, Any]:
        fixed = trial.system_attrs.get(_FIXED_PARAMS, {})
        sampler, study = self.study.sampler, self.study
        relative: dict[str, Any] = {}
        if any(name not in fixed for name in self._open):
            space = sampler.infer_relative_search_space(study, trial)
            relative = sampler.sample_relative(study, trial, space)
        trial = copy.copy(trial)
        params: dict[str, Any] = {}
        distributions: dict[str, BaseDistribution] = {}
        trial.params, trial.distributions = params, distributions
        single, held = self._single, self._held
        for name, distribution in self._distributions.items():
            if name in fixed:
                value = fixed[name]
            elif name in single:
                value = single[name]
            elif name in relative and held.holds(name, relative[name]):
                value = relative[name]
            else:
                value = sampler.sample_independent(study, trial, name, distribution)
            params[name] = value
            distributions[name] = distribution
        return params

    def _forget_cached_trials(self) -> None:
        self.study._thread_local.cached_all_trials = None


def carry_search_space(old: BaseSampler, new: BaseSampler) -> None:
    """Lets a sampler go on with what another one of the same kind knows of the search space.

    Optuna's samplers compare the distributions of all trials, and remember up to which one. A
    fresh sampler would compare them all again, which soon takes longer than everything else.
    """
    for name, value in vars(old).items():
        if isinstance(value, IntersectionSearchSpace):
            setattr(new, name, value)


@contextmanager
def quiet_creation() -> Iterator[None]:
    """Keeps back the line that says a study was created, which is nobody's concern."""
    loggers = [logging.getLogger(f"optuna.storages.{kind}") for kind in _STORAGES_THAT_TELL]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class _HeldValues:
    """Which values distributions hold; each is looked up once, as most trials have the same ones.

    Args:
        distributions: by parameter name.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self._distributions = distributions
        self._held: dict[str, set[Any]] = {name: set() for name in distributions}

    def holds(self, name: str, value: Any) -> bool:
        held = self._held[name]
        try:
            return value in held or self._learn(name, value, held)
        except TypeError:  # what cannot be in a set
            return self._learn(name, value, None)

    def _learn(self, name: str, value: Any, held: set[Any] | None) -> bool:
        distribution = self._distributions[name]
        try:
            is_held = distribution._contains(distribution.to_internal_repr(value))
        except ValueError:
            return False
        if is_held and held is not None and len(held) < _MOST_VALUES:
            held.add(value)
        return is_held


class _WholeTrialStorage(InMemoryStorage):
    """Optuna's memory storage with trials set whole."""

    def update(self, trial_id: int, **fields: Any) -> FrozenTrial:
        """Replaces fields of a running trial; whoever holds the old object keeps the old state."""
        with self._lock:
            trial = copy.copy(self._get_trial(trial_id))
            self.check_trial_is_updatable(trial_id, trial.state)
            for name, value in fields.items():
                setattr(trial, name, value)
            self._set_trial(trial_id, trial)
            return trial

    def count(self, study_id: int) -> int:
        return len(self._studies[study_id].trials)

    def running(self, study_id: int, number: int) -> FrozenTrial:
        """The trial of a number, made with all below it where it is not there yet."""
        while self.count(study_id) <= number:
            self.create_new_trial(study_id)
        return self._studies[study_id].trials[number]

    def replace(self, study_id: int, trial: FrozenTrial) -> None:
        """Sets a trial of which the identity and the number are known already."""
        with self._lock:
            self._set_trial(trial._trial_id, trial)
            self._update_cache(trial._trial_id, study_id)

    def would_number(self, study_id: int, trial: FrozenTrial) -> bool:
        """Whether the next trial has the number and identity that this one has already."""
        number = len(self._studies[study_id].trials)
        return (trial.number, trial._trial_id) == (number, self._max_trial_id + 1)

    def insert(self, study_id: int, trial: FrozenTrial) -> None:
        """Appends a finished trial, which it takes over."""
        with self._lock:
            self._max_trial_id += 1
            trials = self._studies[study_id].trials
            trial._trial_id, trial.number = self._max_trial_id, len(trials)
            self._trial_id_to_study_id_and_number[trial._trial_id] = (study_id, trial.number)
            trials.append(trial)
            self._update_cache(trial._trial_id, study_id)


def with_constraint_list(system_attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the list of constraints that older Optuna tools, such as the dashboard, read."""
    prefix = f"{_CONSTRAINTS_KEY}:"
    values = [value for key, value in system_attrs.items() if key.startswith(prefix)]
    return {**system_attrs, _CONSTRAINTS_KEY: values} if values else dict(system_attrs)


def without_constraint_list(system_attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Drops that list again where it repeats named constraints, which samplers would count twice."""
    prefix = f"{_CONSTRAINTS_KEY}:"
    if any(key.startswith(prefix) for key in system_attrs):
        return {key: v for key, v in system_attrs.items() if key != _CONSTRAINTS_KEY}
    return dict(system_attrs)


def storage_id(trial: FrozenTrial) -> int:
    """The key of a trial in its storage, which for databases is that of its row."""
    return trial._trial_id


def note_of(study_system_attrs: Mapping[str, Any]) -> str:
    """The note of a study that the dashboard shows; empty where there is none."""
    parts = sum(key.startswith(_NOTE_PART) for key in study_system_attrs)
    return "".join(study_system_attrs.get(f"{_NOTE_PART}{part}", "") for part in range(parts))


def note_changes(body: str, study_system_attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The study system attributes to be set so that the dashboard shows another note.

    Args:
        body: the note, in Markdown.
        study_system_attrs: as they are.
    """
    size = _LONGEST_NOTE_PART
    texts = [body[start : start + size] for start in range(0, len(body), size)]
    before = sum(key.startswith(_NOTE_PART) for key in study_system_attrs)
    texts += [""] * (before - len(texts))
    version = int(study_system_attrs.get(_NOTE_VERSION, 0)) + 1
    return {_NOTE_VERSION: version} | {
        f"{_NOTE_PART}{part}": text for part, text in enumerate(texts)
    }


class InternalParams:
    """Parameters as storages keep them, categorical ones as an index; each is made only once."""

    def __init__(self) -> None:
        # Of the trial before: most trials have one object in common.
        self._distributions: Mapping[str, BaseDistribution] = {}
        self._known: dict[str, dict[Any, float]] = {}

    def of(self, trial: FrozenTrial) -> dict[str, float]:
        """Those of a trial."""
        if self._distributions is not trial.distributions:
            self._distributions = trial.distributions
            self._known = {name: {} for name in trial.distributions}
        known = self._known
        try:
            return {
                name: found[param] if param in (found := known[name]) else self._make(name, param)
                for name, param in trial.params.items()
            }
        except TypeError:  # what cannot be the key of a table
            distributions = trial.distributions
            return {n: distributions[n].to_internal_repr(p) for n, p in trial.params.items()}

    def _make(self, name: str, param: Any) -> float:
        distribution, known = self._distributions[name], self._known[name]
        made = distribution.to_internal_repr(param)
        if not isinstance(distribution, FloatDistribution) and len(known) < _MOST_VALUES:
            known[param] = made
        return made


class DistributionTexts:
    """The JSON of distributions and back; every text is made, and read, only once."""

    def __init__(self) -> None:
        self._read: dict[str, BaseDistribution] = {}
        # The distributions are kept alive with their texts, so that no id is used again.
        self._written: dict[int, tuple[BaseDistribution, str]] = {}

    def read(self, text: str) -> BaseDistribution:
        if text not in self._read:
            self._read[text] = json_to_distribution(text)
        return self._read[text]

    def write(self, distribution: BaseDistribution) -> str:
        known = self._written.get(id(distribution))
        if known is None:
            known = (distribution, distribution_to_json(distribution))
            self._written[id(distribution)] = known
        return known[1]


class JournalReplay(JournalStorageReplayResult):
    """What the lines of a journal file amount to, read fast."""

    def __init__(self) -> None:
        super().__init__(SEALED_WORKER + "-reader")
        self._texts = DistributionTexts()
        self._parameters = SharedParameters({}, self._texts)

    def apply(self, log: dict[str, Any]) -> None:
        """Takes in a line.

        Raises:
            LookupError: if it is about a study or trial that was never there, which Optuna itself
                passes over in silence.
            Exception: AssertionError, ArithmeticError, TypeError or ValueError if it makes no
                sense.
        """
        if not 0 <= log.get("study_id", 0) < max(self._next_study_id, 1):
            raise LookupError("it is about a study that is not there")
        if not 0 <= log.get("trial_id", 0) < max(len(self._trials), 1):
            raise LookupError("it is about a trial that is not there")
        if log["op_code"] == JournalOperation.CREATE_TRIAL:  # nearly all of them
            self.log_number_read += 1
            self._apply_create_trial(log)
        else:
            self.apply_logs([log])

    def study_id(self, name: str) -> int | None:
        found = (s._study_id for s in self._studies.values() if s.study_name == name)
        return next(found, None)

    def study_names(self) -> list[str]:
        return [study.study_name for study in self._studies.values()]

    def trials_of(self, study_id: int) -> list[FrozenTrial]:
        return self.get_all_trials(study_id, states=None)

    def total_trials(self) -> int:
        """Of all studies together."""
        return len(self._trials)

    def trial_count(self, study_id: int) -> int:
        return len(self._study_id_to_trial_ids[study_id])

    def _apply_create_trial(self, log: dict[str, Any]) -> None:
        texts, internal = log.pop("distributions", {}), log.pop("params", {})
        if self._parameters.texts is not texts and self._parameters.texts != texts:
            self._parameters = SharedParameters(texts, self._texts)
        params = self._parameters.read(internal)
        log["system_attrs"] = without_constraint_list(log.get("system_attrs", {}))
        trial_id = len(self._trials)
        super()._apply_create_trial(log)
        if len(self._trials) > trial_id:
            trial = self._trials[trial_id]
            trial.params, trial.distributions = params, self._parameters.distributions


class SharedParameters:
    """Reads the parameters of trials that have the same distributions, which all share then.

    Args:
        texts: of the distributions, by name.
        cache: reads each text once.

    Raises:
        ValueError: if a text is no distribution's.
    """

    def __init__(self, texts: Mapping[str, str], cache: DistributionTexts) -> None:
        self.texts = texts
        self.distributions = {name: cache.read(text) for name, text in texts.items()}
        self._values: dict[str, dict[float, Any]] = {name: {} for name in texts}

    def read(self, internal: Mapping[str, float]) -> dict[str, Any]:
        """Parameters as Optuna's users know them, from the numbers that storages keep.

        Raises:
            LookupError: if one has no distribution, or there is a distribution without one.
            ValueError: if one is not of its distribution.
        """
        if len(internal) != len(self._values):
            raise LookupError("not every parameter has its distribution")
        # The names are those of the distributions: every line brings its own copies.
        return {
            name: known[value] if (value := internal[name]) in known else self._learn(name, value)
            for name, known in self._values.items()
        }

    def _learn(self, name: str, value: float) -> Any:
        distribution = self.distributions[name]
        if isinstance(value, bool) or not distribution._contains(value):
            raise ValueError(f"the parameter {name!r} cannot be {value!r}")
        external = distribution.to_external_repr(value)
        if not isinstance(distribution, FloatDistribution):
            self._values[name][value] = external
        return external


class JournalLines:
    """Writes the lines of a journal file that Optuna's ``JournalStorage`` reads."""

    def __init__(self) -> None:
        self._texts = DistributionTexts()
        self._internal = InternalParams()
        # Of the trial before: most trials have one object in common.
        self._distributions: tuple[Mapping[str, BaseDistribution], bytes] | None = None

    def create_study(self, name: str, directions: Sequence[StudyDirection]) -> bytes:
        return _line(
            JournalOperation.CREATE_STUDY,
            {"study_name": name, "directions": [int(d) for d in directions]},
        )

    def study_attribute(self, study_id: int, key: str, value: Any, *, system: bool) -> bytes:
        if system:
            fields = {"study_id": study_id, "system_attr": {key: value}}
            return _line(JournalOperation.SET_STUDY_SYSTEM_ATTR, fields)
        fields = {"study_id": study_id, "user_attr": {key: value}}
        return _line(JournalOperation.SET_STUDY_USER_ATTR, fields)

    def trial(self, study_id: int, trial: FrozenTrial) -> bytes:
        values = trial.values
        several = values is not None and len(values) > 1
        before: dict[str, Any] = {
            "study_id": study_id,
            "datetime_start": _utc(trial.datetime_start),
            "state": int(trial.state),
            "value": None if several or values is None else values[0],
            "values": values if several else None,
        }
        params = _json(self._internal.of(trial))
        user_attrs = _json_of_attributes(trial.user_attrs)
        fields: dict[str, Any] = {
            "system_attrs": with_constraint_list(trial.system_attrs),
            "intermediate_values": trial.intermediate_values,
        }
        if trial.datetime_complete is not None:
            fields["datetime_complete"] = _utc(trial.datetime_complete)
        head = _line(JournalOperation.CREATE_TRIAL, before).removesuffix(b"}\n")
        shared = self._distributions_of(trial)
        tail = _json(fields).removeprefix(b"{")
        form = b'%s,"distributions":%s,"params":%s,"user_attrs":%s,%s\n'
        return form % (head, shared, params, user_attrs, tail)

    def _distributions_of(self, trial: FrozenTrial) -> bytes:
        known = self._distributions
        if known is None or known[0] is not trial.distributions:
            texts = {n: self._texts.write(d) for n, d in trial.distributions.items()}
            known = self._distributions = trial.distributions, _json(texts)
        return known[1]


def _line(operation: JournalOperation, fields: Mapping[str, Any]) -> bytes:
    return _json({"op_code": int(operation), "worker_id": SEALED_WORKER, **fields}) + b"\n"


def _json(fields: Mapping[str, Any]) -> bytes:
    # Attributes may be mappings of any kind.
    return json.dumps(fields, separators=(",", ":"), default=dict).encode()


def _json_of_attributes(attributes: Mapping[str, Any]) -> bytes:
    """Attributes as JSON; those that are kept as JSON have a method that tells it."""
    kept = {n: v.json_text() for n, v in attributes.items() if hasattr(v, "json_text")}
    if not kept:
        return _json(attributes)
    others = _json({n: v for n, v in attributes.items() if n not in kept})[1:-1]
    parts = [others] if others else []
    parts += [b"%s:%s" % (json.dumps(name).encode(), text) for name, text in kept.items()]
    return b"{%s}" % b",".join(parts)


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")


RDB_REVISION = "v3.2.0.a"
"""The schema of Optuna's database tables that this package writes and reads in bulk."""


def rdb_tables() -> Mapping[str, sqlalchemy.Table]:
    """Optuna's database tables by name."""
    from optuna.storages._rdb import models  # noqa: PLC0415 - brings all of SQLAlchemy along

    tables: Mapping[str, sqlalchemy.Table] = models.BaseModel.metadata.tables
    return tables


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """The exact volume that points dominate up to a reference point; less is better in all axes.

    Args:
        points: of shape (points, axes); none beyond the reference point in any axis.
        reference: of shape (axes,).
    """
    losses = np.asarray(points, dtype=float)
    if losses.size == 0:
        return 0.0
    return float(compute_hypervolume(losses, np.asarray(reference, dtype=float)))
