"""Starts of a search, made of the trials of a study of plain Optuna, and how a ledger keeps them."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from npu_tune._optuna_compat import SearchStudy, chosen_params
from npu_tune.errors import StudyMismatchError, UsageError
from npu_tune.space import SearchSpace, Value
from npu_tune.targets import Problem, Start
from npu_tune.tuning.foreign.choices import ForeignChoices
from npu_tune.tuning.foreign.study import ForeignStudy, states

IMPORTED = "imported:"
"""How the study attributes begin that hold what was taken over; the study's name follows."""

ALL_IMPORTED = "imported"
"""Why a run ends in which everything that was taken over has been evaluated."""

_UNFINISHED = ("running", "waiting")


@dataclass(frozen=True)
class ForeignTrial:
    """What a trial of another study said.

    Args:
        number: there.
        state: there, in small letters.
        metrics: its numbers by name; they are kept for comparison and enter nothing.
    """

    number: int
    state: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class ImportedStart:
    """A configuration of another study.

    Args:
        trials: that had it, the best first.
        changes: against the default, by full name of the knob.
    """

    trials: tuple[ForeignTrial, ...]
    changes: Mapping[str, Value]


@dataclass(frozen=True)
class RefusedTrial:
    """A trial of another study that is none of this search space.

    Args:
        number: there.
        reason: one sentence.
    """

    number: int
    reason: str


@dataclass(frozen=True)
class ImportedStudy:
    """What was taken over from a study of plain Optuna.

    Args:
        name: of that study.
        place: where it was read, without a password.
        states: how many trials it had, by state.
        starts: its configurations, each once, the best first.
        refused: trials that are none of the search space.
        left_out: configurations beyond the study's budget.
    """

    name: str
    place: str
    states: Mapping[str, int]
    starts: tuple[ImportedStart, ...]
    refused: tuple[RefusedTrial, ...]
    left_out: int

    @property
    def key(self) -> str:
        """Of the attribute that holds it."""
        return IMPORTED + self.name

    def most(self, budget: int | None) -> int:
        """How many evaluations there may be in all, with the default's."""
        own = len(self.starts) + 1
        return own if budget is None else min(own, budget)

    def label(self, start: ImportedStart) -> str:
        """Of a start, without what the origins of all starts begin with.

        What had not finished may come back as something else.
        """
        first = start.trials[0]
        state = f"{first.state} " if first.state in _UNFINISHED else ""
        return f"imported: {state}trial {first.number} of {self.name}"

    def origin(self, start: ImportedStart) -> str:
        """Of the trial that evaluates a start."""
        return f"start: {self.label(start)}"

    def is_evaluated(self, origins: Container[str]) -> bool:
        """Whether there is a trial of every start, by the origins of trials."""
        return all(self.origin(start) in origins for start in self.starts)

    @property
    def finished(self) -> dict[int, Mapping[str, Value]]:
        """The changes of each trial that had finished, by its number there."""
        return {
            trial.number: start.changes
            for start in self.starts
            for trial in start.trials
            if trial.state not in _UNFINISHED
        }

    def to_json(self) -> dict[str, Any]:
        """As an attribute of the study; the reverse of :meth:`of_json`.

        The configurations are packed: a thousand of them may change a hundred knobs each.
        """
        text = json.dumps([asdict(each) for each in self.starts], separators=(",", ":"))
        return {
            "name": self.name,
            "place": self.place,
            "states": dict(self.states),
            "refused": [asdict(each) for each in self.refused],
            "left_out": self.left_out,
            "starts": base64.b64encode(zlib.compress(text.encode())).decode(),
        }

    @classmethod
    def of_json(cls, document: Mapping[str, Any]) -> ImportedStudy:
        """Reads what :meth:`to_json` wrote."""
        rows = json.loads(zlib.decompress(base64.b64decode(document["starts"])))
        return cls(
            document["name"],
            document["place"],
            document["states"],
            tuple(
                ImportedStart(tuple(ForeignTrial(**t) for t in row["trials"]), row["changes"])
                for row in rows
            ),
            tuple(RefusedTrial(**each) for each in document["refused"]),
            document["left_out"],
        )


def take_trials(foreign: ForeignStudy, problem: Problem, *, budget: int | None) -> ImportedStudy:
    """What may be taken over from a study.

    Args:
        foreign: the study.
        problem: of the search.
        budget: at most so many configurations; None for all.

    Raises:
        UsageError: if no trial belongs to the search space.
    """
    space, names = problem.space, [metric.name for metric in problem.metrics]
    reader = ForeignChoices(space, foreign.distributions)
    found: dict[tuple[tuple[str, Value], ...], list[ForeignTrial]] = {}
    refused = []
    for trial in foreign.best_first:
        try:
            values = reader.read(chosen_params(trial), trial.distributions)
        except StudyMismatchError as error:
            refused.append(RefusedTrial(trial.number, str(error)))
            continue
        changes = _changes(space, values)
        said = ForeignTrial(trial.number, trial.state.name.lower(), foreign.metrics(trial, names))
        found.setdefault(tuple(changes.items()), []).append(said)
    if not found:
        raise _nothing(foreign, refused)
    starts = [ImportedStart(tuple(trials), dict(changes)) for changes, trials in found.items()]
    kept = starts[:budget]
    return ImportedStudy(
        foreign.name,
        foreign.place,
        states(foreign.trials),
        tuple(kept),
        tuple(sorted(refused, key=lambda each: each.number)),
        len(starts) - len(kept),
    )


def kept_imports(attributes: Mapping[str, Any]) -> list[ImportedStudy]:
    """What a ledger says was taken over, by the names of the studies."""
    return [
        ImportedStudy.of_json(attributes[name])
        for name in sorted(attributes)
        if name.startswith(IMPORTED)
    ]


def starts_of_imports(imports: Sequence[ImportedStudy], space: SearchSpace) -> Iterator[Start]:
    """The configurations that were taken over, in the order in which they are tried."""
    for imported in imports:
        for start in imported.starts:
            yield Start(imported.label(start), space.configuration(start.changes))


def starts_alone(
    imported: ImportedStudy, search: SearchStudy, space: SearchSpace, known: Container[str]
) -> Iterator[Start]:
    """Those of one study that no trial has evaluated yet; the search ends with the last of them.

    Args:
        imported: what was taken over.
        search: the sampler's study.
        space: of the search.
        known: origins of the trials that there are.
    """
    left = [start for start in imported.starts if imported.origin(start) not in known]
    search.is_stopped = not left

    def starts() -> Iterator[Start]:
        for number, start in enumerate(left, 1):
            search.is_stopped = number == len(left)
            yield Start(imported.label(start), space.configuration(start.changes))

    return starts()


def require_same_source(attributes: Mapping[str, Any], imported: ImportedStudy) -> None:
    """Checks that a study of this name was not taken over from elsewhere before.

    Args:
        attributes: of the study that takes it.
        imported: what is to be taken over.

    Raises:
        StudyMismatchError: if a trial that had finished was another configuration then.
    """
    kept = attributes.get(imported.key)
    before = {} if kept is None else ImportedStudy.of_json(kept).finished
    differs = [n for n, now in imported.finished.items() if before.get(n, now) != now]
    if differs:
        raise StudyMismatchError(
            f"Another study {imported.name!r} was taken over before: its trial {differs[0]} was "
            "another configuration.",
            remedy="Take this one over into another folder.",
            trial=differs[0],
        )


def _changes(space: SearchSpace, values: Mapping[str, Value]) -> dict[str, Value]:
    return space.effective(space.configuration(values)).difference(space.default)


def _nothing(foreign: ForeignStudy, refused: Sequence[RefusedTrial]) -> UsageError:
    if not refused:
        return UsageError(f"The study {foreign.name!r} has no trials.", remedy="Name another one.")
    first = refused[0]
    return UsageError(
        f"No trial of the study {foreign.name!r} ({len(refused)} in all) belongs to the search "
        f"space; trial {first.number}: {first.reason}",
        remedy="`npu-tune space` lists the knobs of a network on a target, as parameters are called.",
        refused=[asdict(each) for each in refused],
    )
