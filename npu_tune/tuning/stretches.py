"""What each run of a study was, a stretch of its trials, and how a ledger holds it.

A stretch refers to what seldom changes by its digest, so that a study that is resumed a thousand
times in the same way carries little for each.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from npu_tune.tuning.settings import SearchSettings

STRETCH = "stretch:"
"""How the study attributes begin that hold a stretch."""

SEARCHES = "searches"
"""The study attribute in which an earlier version listed samplers alone."""

_KEY = re.compile(rf"{STRETCH}[0-9]{{5}}-[0-9a-f]+")
_NEEDED = frozenset({"first_trial", "way", "surroundings", "began_s"})

_WAY, _SURROUNDINGS = "way:", "surroundings:"
"""How those begin that stretches refer to: how they searched, and where."""


@dataclass(frozen=True)
class Stretch:
    """One run of a study.

    Args:
        search: by what it proposed trials, and from which number on.
        last_trial: the number of its last trial; None where it added none.
        executor: ``kind`` and ``workers``; empty where an earlier version ran it.
        versions: by name, of npu-tune, Python, compilers and libraries that were installed.
        platform: the operating system, the machine and how many processors might be used.
        fingerprint: of the target.
        command: the command line, without passwords; ``Python`` where there was none.
        began: UTC, ISO 8601; None where an earlier version ran it.
        ended: the same; None where it was killed, or still runs.
        began_s: on the study's clock, which stands while nothing runs.
        ended_s: the same; None as ``ended``.
        stopped: why it ended; None as ``ended``.
    """

    search: SearchSettings
    last_trial: int | None = None
    executor: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    platform: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    began: str | None = None
    ended: str | None = None
    began_s: float = 0.0
    ended_s: float | None = None
    stopped: str | None = None

    @property
    def first_trial(self) -> int:
        """The number of its first trial."""
        return self.search.first_trial

    @property
    def is_known(self) -> bool:
        """Whether more is known of it than its sampler."""
        return self.began is not None

    def differences(self, earlier: Stretch) -> Iterator[str]:
        """What may change trials or their numbers and is not as it was, in words.

        Who evaluates is not: that changes in which order trials end, and is only written down.
        """
        yield from self.search.differences(earlier.search)
        if not earlier.is_known:
            return
        for name in dict.fromkeys([*self.versions, *earlier.versions]):
            now, was = self.versions.get(name), earlier.versions.get(name)
            if now != was:
                yield f"{name} is {now or 'not installed'}, which was {was or 'not installed'}"


def stretches(attributes: Mapping[str, Any]) -> tuple[Stretch, ...]:
    """The stretches that a study's attributes hold, in order.

    Where one was killed, its last trial is the one before the next stretch; of the last one it is
    not said.
    """
    listed: Sequence[Mapping[str, Any]] = attributes.get(SEARCHES) or ()
    found = [Stretch(SearchSettings(**each)) for each in listed]
    found += [_read(attributes[key], attributes) for key in stretch_keys(attributes)]
    for place, (each, following) in enumerate(pairwise(found)):
        if each.ended is None and following.first_trial > each.first_trial:
            found[place] = replace(each, last_trial=following.first_trial - 1)
    return tuple(found)


def stretch_keys(attributes: Mapping[str, Any]) -> list[str]:
    """The names of the attributes that hold stretches, in order; any Optuna tool may add others."""
    return sorted(
        name
        for name, value in attributes.items()
        if _KEY.fullmatch(name) and isinstance(value, Mapping) and value.keys() >= _NEEDED
    )


def stretch_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a study's attributes that hold its stretches, without command lines."""
    beginnings = (STRETCH, _WAY, _SURROUNDINGS)
    own = {name: attributes[name] for name in sorted(attributes) if name.startswith(beginnings)}
    return {
        name: value | {"command": ""} if name.startswith(_WAY) else value
        for name, value in own.items()
    }


def searches(found: Sequence[Stretch]) -> tuple[SearchSettings, ...]:
    """By what trials were proposed: stretches of one sampler, options and seed as one."""
    merged: list[SearchSettings] = []
    for each in found:
        # Settings by which no trial was proposed say nothing.
        if merged and merged[-1].first_trial == each.first_trial:
            merged.pop()
        if not merged or any(each.search.differences(merged[-1])):
            merged.append(each.search)
    return tuple(merged)


def stretch_tables(now: Stretch) -> dict[str, dict[str, Any]]:
    """What a stretch refers to, by the name of the attribute that holds it."""
    search = now.search
    way = {
        "sampler": search.sampler,
        "seed": search.seed,
        "options": dict(search.options),
        "executor": dict(now.executor),
        "command": now.command,
    }
    where = {
        "versions": dict(now.versions),
        "platform": dict(now.platform),
        "fingerprint": dict(now.fingerprint),
    }
    return {_WAY + _digest(way): way, _SURROUNDINGS + _digest(where): where}


def _digest(table: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:12]


def stretch_document(now: Stretch) -> dict[str, Any]:
    """A stretch as the attribute that holds it."""
    way, where = (name.partition(":")[2] for name in stretch_tables(now))
    document = {
        "first_trial": now.first_trial,
        "last_trial": now.last_trial,
        "way": way,
        "surroundings": where,
        "began": now.began,
        "began_s": now.began_s,
        "ended": now.ended,
        "ended_s": now.ended_s,
        "stopped": now.stopped,
    }
    return {name: value for name, value in document.items() if value is not None}


def _read(document: Mapping[str, Any], attributes: Mapping[str, Any]) -> Stretch:
    way = dict(attributes.get(f"{_WAY}{document['way']}") or {})
    where = attributes.get(f"{_SURROUNDINGS}{document['surroundings']}") or {}
    search = SearchSettings(
        document["first_trial"], way.get("sampler", ""), way.get("seed", 0), way.get("options", {})
    )
    own = ("last_trial", "began", "ended", "began_s", "ended_s", "stopped")
    return Stretch(
        search,
        executor=way.get("executor", {}),
        command=way.get("command", ""),
        **where,
        **{name: document[name] for name in own if name in document},
    )
