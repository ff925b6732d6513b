"""Begins a study with what other studies know, and writes down what was taken from where."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from npu_tune.errors import UsageError
from npu_tune.evaluation.cache import Cache
from npu_tune.space import Configuration
from npu_tune.targets import Problem, Start
from npu_tune.tuning.config import StudyFile
from npu_tune.tuning.ledger import Ledger
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.search import problem_starts
from npu_tune.tuning.trial import TrialRecord
from npu_tune.tuning.warm.cached import cache_sources
from npu_tune.tuning.warm.lessons import Lesson, LessonTable, lessons_of, translated
from npu_tune.tuning.warm.matching import Match, match_layers
from npu_tune.tuning.warm.source import ORIGIN, WarmSource, family_of, study_source
from npu_tune.tuning.warm.traits import layer_traits
from npu_tune.tuning.warm.transfer import WarmStart, transfers
from npu_tune.tuning.warm.trying import Trying, tries
from npu_tune.validation import key_name, sentence

_LOG = logging.getLogger(__name__)

WARM = "warm_start"
"""The study attribute that says what was taken from where."""

CACHE = Path("cache")
"""What stands for the cache among folders."""

MOST_STARTS = 12
"""Of all sources together."""


@dataclasses.dataclass(frozen=True)
class WarmBeginning:
    """What a study begins with, out of others.

    Args:
        starts: in the order in which they are tried.
        taken: what was taken from where, as JSON.
        lessons: what changes of knobs did to layers alike.
    """

    starts: tuple[WarmStart, ...] = ()
    taken: tuple[Mapping[str, Any], ...] = ()
    lessons: tuple[Lesson, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As an attribute of the study; the reverse of :meth:`of_json`."""
        return {
            "from": [dict(each) for each in self.taken],
            "starts": [dataclasses.asdict(each) for each in self.starts],
            "lessons": [each.to_list() for each in self.lessons],
        }

    @classmethod
    def of_json(cls, document: Mapping[str, Any]) -> WarmBeginning:
        """Reads what :meth:`to_json` wrote."""
        return cls(
            tuple(WarmStart(**each) for each in document["starts"]),
            tuple(document["from"]),
            # Studies of before there were any have none.
            tuple(map(Lesson.of_list, document.get("lessons", ()))),
        )

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was taken from where, for people."""
        return tuple(
            f"Takes {each['starts']} starts and {each['lessons']} lessons from {each['name']} ({each['model']} on "
            f"{each['target']}, {each['evaluations']} evaluations): {each['matched']} of "
            f"{each['layers']} layers match, {each['exact']} of them in shape."
            for each in self.taken
        )


def keep_beginning(ledger: Ledger, warm: WarmBeginning | None) -> None:
    """Writes down what a study begins with; what was left of a run that was killed is none of it."""
    if warm is not None or ledger.attributes().get(WARM) is not None:
        ledger.set_attribute(WARM, None if warm is None else warm.to_json())


def kept_beginning(attributes: Mapping[str, Any]) -> WarmBeginning:
    """What a study began with, as its ledger says."""
    kept = attributes.get(WARM)
    return WarmBeginning() if kept is None else WarmBeginning.of_json(kept)


def warm_beginning(
    study: StudyFile,
    problem: Problem,
    objective: Objective,
    cache: Cache | None,
    *,
    is_begun: bool,
) -> WarmBeginning | None:
    """What a study is to begin with; None where it names nothing, or has begun already.

    Args:
        study: names what it begins with.
        problem: of the search.
        objective: of the search.
        cache: of the study.
        is_begun: whether it has begun, and takes nothing in any more.

    Raises:
        UsageError: if there is no study in a folder, or it is about a target of another family.
        StorageError: if one cannot be read.
        ModelError: if its model cannot be read.
    """
    named = study.study.sources
    if is_begun or not named:
        return None
    warm = begin_warm(find_sources(named, problem, cache), problem, objective)
    for line in warm.sentences or ("There is nothing to begin with.",):
        _LOG.info(line)
    return warm


def begin_warm(
    sources: Sequence[WarmSource], problem: Problem, objective: Objective
) -> WarmBeginning:
    """Makes starts of what others know.

    Args:
        sources: the most trusted first.
        problem: of the search.
        objective: of the search.

    Raises:
        UsageError: if a source is about a target of another family.
    """
    layers = layer_traits(problem.network, problem.space.layers)
    made: list[list[WarmStart]] = []
    taken = []
    lessons: list[Lesson] = []
    for source in sources:
        if family_of(source.identity.target) != family_of(problem.target.name):
            raise UsageError(
                f"{sentence(key_name('study.from'))} names {source.name!r}, a study on "
                f"{source.identity.target}, of which nothing can be transferred to "
                f"{problem.target.name}.",
                remedy="Name studies on targets of the same family.",
                target=source.identity.target,
            )
        same = source.identity.model_sha256 == problem.identity.model_sha256
        match = (
            Match.of_same((name for name in layers if name in source.layers), len(layers))
            if same
            else match_layers(layers, source.layers)
        )
        own = transfers(source, match, problem.space, objective, same_network=same)
        made.append(own)
        learnt = translated(lessons_of(source), source, match, problem.space)
        lessons += learnt
        taken.append(
            {
                "name": source.name,
                "model": source.model,
                "target": source.identity.target,
                "identity": source.identity.digest,
                "evaluations": len(source.known),
                "matched": len(match.of),
                "exact": match.exact,
                "layers": match.layers,
                "starts": len(own),
                "lessons": len(learnt),
            }
        )
    in_turn = [each for row in zip_longest(*made) for each in row if each is not None]
    return WarmBeginning(tuple(in_turn[:MOST_STARTS]), tuple(taken), tuple(lessons))


def find_sources(named: Sequence[Path], problem: Problem, cache: Cache | None) -> list[WarmSource]:
    """What the studies in some folders know, and the cache where it is named too.

    Args:
        named: folders, or :data:`CACHE`.
        problem: of the search.
        cache: of the study.

    Raises:
        UsageError: if there is no study in a folder, or no cache.
        StorageError: if a study cannot be read.
        ModelError: if its model cannot be read.
    """
    found = []
    for each in named:
        if each != CACHE:
            source = study_source(each)
            found += [] if source is None else [source]
        elif cache is None:
            raise UsageError(
                f"{sentence(key_name('study.from'))} names the cache, and this study has none.",
                remedy="Name studies, or leave that out.",
            )
        else:
            found += cache_sources(cache, problem)
    return found


def starts_of(
    problem: Problem, warm: WarmBeginning, trials: Callable[[], Sequence[TrialRecord]]
) -> Iterator[Start | None]:
    """The target's own plans, then what others know, and then tries of what paid elsewhere.

    Args:
        problem: of the search.
        warm: out of other studies.
        trials: finds those of the study.
    """

    def placed_starts() -> Iterator[Start]:
        for start in warm.starts:
            best = _best(trials())
            yield Start(ORIGIN + start.label, start.placed(problem.space, best))

    found: Iterator[Start | None] = chain(problem_starts(problem), placed_starts())
    if not warm.lessons or not problem.deterministic:
        return found
    trying = Trying(problem.space, problem.profile, LessonTable(warm.lessons))
    return chain(found, tries(trying, trials))


def _best(trials: Sequence[TrialRecord]) -> Configuration | None:
    feasible = [each for each in trials if each.feasible and each.cost is not None]
    best = min(feasible, key=lambda each: each.cost or 0.0, default=None)
    return None if best is None else best.configuration
