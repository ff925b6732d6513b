"""Which configurations of a study are known already, and which starts are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile

from npu_tune.errors import WorkerLostError
from npu_tune.space import Configuration
from npu_tune.targets import Start
from npu_tune.tuning.trial import TrialRecord


class KnownTrials:
    """The trials that answer for a key: evaluated ones, and failures the configuration caused."""

    def __init__(self, trials: Iterable[tuple[str, TrialRecord]] = ()) -> None:
        self._by_key: dict[str, TrialRecord] = {}
        self._samples: Counter[str] = Counter()
        for key, record in trials:
            self.learn(key, record)

    def learn(self, key: str, record: TrialRecord) -> None:
        """Remembers a trial; a lost worker says nothing about the configuration."""
        if record.duplicate_of is None and record.failure != WorkerLostError.failure:
            self._by_key.setdefault(key, record)
            self._samples[key] = max(self._samples[key], record.sample + 1)

    def find(self, key: str) -> TrialRecord | None:
        """The trial that answers for this key."""
        return self._by_key.get(key)

    def samples(self, key: str) -> int:
        """How often the configuration of this key was evaluated, or is being evaluated."""
        return self._samples[key]

    def take_sample(self, key: str) -> int:
        """The number of its next evaluation, which nobody else gets."""
        number = self._samples[key]
        self._samples[key] += 1
        return number


def new_starts(
    starts: Callable[[], Iterable[Start | None]], records: Iterable[TrialRecord]
) -> Iterator[tuple[Configuration, str] | None]:
    """Starts that no trial has evaluated yet, each with the origin of its trial.

    Args:
        starts: finds them one by one; called when the first is asked for. None stands for a
            proposal of the sampler before the next one.
        records: of the study.
    """
    known = {record.origin for record in records}
    for start in starts():
        if start is None:
            yield None
            continue
        origin = f"start: {start.label}"
        if origin not in known:
            yield start.configuration, origin


def trailing_duplicates(records: Sequence[TrialRecord]) -> int:
    """Number of duplicates since the latest trial that was evaluated."""
    return sum(1 for _ in takewhile(lambda r: r.duplicate_of is not None, reversed(records)))
