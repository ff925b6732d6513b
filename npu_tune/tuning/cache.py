"""Which configurations are known already: the key of an evaluation and the index by it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from npu_tune.space import Configuration, SearchSpace
from npu_tune.tuning.records import TrialRecord

SCHEMA_VERSION = 1
"""Of what a trial records; a trial of another schema never answers for a new one."""


@dataclass(frozen=True)
class EvaluationKeys:
    """Makes the key under which an evaluation is known.

    The key covers everything an evaluation depends on, so that another model, compiler version
    or system description can never be answered with a stale figure.

    Args:
        model_sha256: of the model file.
        target: the target's name.
        fingerprint: everything else the target's answers depend on.
        space: finds the effective configuration.
    """

    model_sha256: str
    target: str
    fingerprint: Mapping[str, str]
    space: SearchSpace

    def key(self, configuration: Configuration) -> str:
        """The key: the same for every configuration with the same effective one."""
        effective = self.space.effective(configuration)
        parts = [SCHEMA_VERSION, self.model_sha256, self.target, dict(self.fingerprint)]
        changed = effective.difference(self.space.default)
        text = json.dumps([*parts, changed], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class KnownTrials:
    """The trials that answer for a key: evaluated ones, and failures the configuration caused."""

    def __init__(self, trials: Iterable[tuple[str, TrialRecord]] = ()) -> None:
        self._by_key: dict[str, TrialRecord] = {}
        for key, record in trials:
            self.learn(key, record)

    def learn(self, key: str, record: TrialRecord) -> None:
        """Remembers an answer; a lost worker says nothing about the configuration."""
        if record.duplicate_of is None and record.failure != "infrastructure":
            self._by_key.setdefault(key, record)

    def find(self, key: str) -> TrialRecord | None:
        """The trial that answers for this key."""
        return self._by_key.get(key)
